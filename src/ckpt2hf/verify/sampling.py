"""Text that a model writes, token by token: the most likely one, or drawn. Imports no torch."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.tensors import Array
    from ckpt2hf.verify.language_model import LanguageModel


class Stop(enum.Enum):
    """Why a text ends where it ends."""

    END = "end"
    """The model chose a token that ends a text."""
    LENGTH = "length"
    """There are as many tokens as were asked for."""
    CONTEXT = "context"
    """The model cannot read more tokens than there are."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is chosen among those that a model proposes."""

    temperature: float = 0.0
    """What the logits are divided by before one is drawn; 0 for always the most likely one."""
    top_k: int | None = None
    """Draw among so many most likely ones."""
    top_p: float | None = None
    """Draw among the fewest that have this much of the probability together."""
    seed: int = 0

    def choose(self, logits: Array, chance: np.random.Generator) -> int:
        """One id, given the logits `[vocab]` of all; of equals the lowest."""
        if not self.temperature:
            return int(logits.argmax())
        order = np.argsort(-logits, kind="stable")[: self.top_k]
        scaled = logits[order].astype(np.float64)
        shares = np.exp((scaled - scaled[0]) / self.temperature)
        shares /= shares.sum()
        if self.top_p is not None:
            enough = int(np.searchsorted(shares.cumsum(), self.top_p)) + 1
            shares = shares[:enough] / shares[:enough].sum()
        return int(order[chance.choice(len(shares), p=shares)])


def continuation(model: LanguageModel, prompt: Sequence[int], sampling: Sampling, most: int) -> Iterator[int]:
    """The ids that follow a prompt, at most so many; the last may be one that ends a text.

    The prompt has one id at least, and no more than the model's context. The same seed gives the same ids.
    Raises VerificationError for a model whose logits are no numbers.
    """
    chance = np.random.default_rng(sampling.seed)
    new, held = list(prompt), 0
    for _ in range(most):
        if held + len(new) > model.context:
            return
        logits = model.following(np.array(new, np.int64), anew=not held)
        if np.isnan(logits).any():
            raise VerificationError("the model's logits are no numbers (NaN)")
        held += len(new)
        new = [sampling.choose(logits, chance)]
        yield new[0]
        if new[0] in model.ends:
            return


def stopped(model: LanguageModel, ids: Sequence[int], most: int) -> Stop:
    """Why a continuation of these ids is not longer."""
    if ids and ids[-1] in model.ends:
        return Stop.END
    return Stop.LENGTH if len(ids) == most else Stop.CONTEXT
