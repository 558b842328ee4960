"""How well a model predicts held-out text, whatever computes its logits. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import VerificationError
from ckpt2hf.tensors import Array

if TYPE_CHECKING:
    from ckpt2hf.verify.windows import Windows

Logits = Callable[[Array], Array]
"""What gives logits `[batch, time, vocab]` for token ids `[batch, time]`: any model, in any format."""
_AT_ONCE = 1 << 20
"""Logits that are turned into float64 at a time: a few arrays of 8 MiB."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What predicting a text costs. The windows are kept apart: two models are best compared window by window."""

    window_nats: Array
    """The sum over the tokens that count in each window `[windows]`, in nats."""
    window_tokens: Array
    """How many those are `[windows]`."""
    nbytes: int | None = None
    """Bytes of text that were predicted; None where nobody knows."""

    @property
    def nats(self) -> float:
        """The sum over all tokens."""
        return float(self.window_nats.sum())

    @property
    def tokens(self) -> int:
        """Tokens predicted."""
        return int(self.window_tokens.sum())

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """The exponential of the loss; infinite where that is larger than any number."""
        try:
            return math.exp(self.loss)
        except OverflowError:
            return math.inf

    @property
    def bits_per_byte(self) -> float | None:
        """Independent of how the tokenizer cuts text, where the bytes are known."""
        return self.nats / math.log(2) / self.nbytes if self.nbytes else None

    @property
    def standard_error(self) -> float | None:
        """Of the loss, over windows as if they were drawn independently; None for a single window.

        The loss is a ratio of two sums, since windows may differ in length; this is its linear approximation.
        """
        count = len(self.window_tokens)
        if count == 1:
            return None
        apart = self.window_nats - self.loss * self.window_tokens
        return float(np.sqrt(np.square(apart).sum() * count / (count - 1)) / self.tokens)


def measure(
    logits: Logits,
    windows: Windows,
    *,
    at_once: int,
    nbytes: int | None = None,
    advance: Callable[[int], None] = lambda _tokens: None,
) -> Measured:
    """What predicting all windows costs, `at_once` of them at a time.

    Raises VerificationError for a model whose logits are no numbers.
    """
    nats: list[Array] = []
    tokens: list[Array] = []
    for ids, fresh in windows.batches(at_once):
        last = int(fresh.max())
        each = surprisal(logits(ids[:, :-1])[:, -last:], ids[:, -last:])
        each[np.arange(last) < last - fresh[:, None]] = 0.0
        if not np.isfinite(each).all():
            raise VerificationError("the model gives a token of this text a probability of 0, or no number at all")
        nats.append(each.sum(1))
        tokens.append(fresh)
        advance(int(fresh.sum()))
    return Measured(np.concatenate(nats), np.concatenate(tokens), nbytes)


def surprisal(logits: Array, wanted: Array) -> Array:
    """What each wanted token costs `[batch, time]`, in nats: -log of its softmax, computed in float64.

    `logits` are `[batch, time, vocab]`, `wanted` are ids `[batch, time]`.
    """
    rows, ids = logits.reshape(-1, logits.shape[-1]), wanted.reshape(-1)
    found = np.empty(len(ids))
    step = max(_AT_ONCE // logits.shape[-1], 1)
    for first in range(0, len(ids), step):
        part = rows[first : first + step].astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinities give NaN, which is refused above
            part -= part.max(-1, keepdims=True)
            chosen = np.take_along_axis(part, ids[first : first + step, None], -1)[:, 0]
            found[first : first + step] = np.log(np.exp(part, out=part).sum(-1)) - chosen
    return found.reshape(wanted.shape)
