"""The token sequences a converted model is questioned with: the same ones every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from ckpt2hf.ir.spec import ModelSpec

SHORT = 48
"""Tokens of the short sequences."""
SHARP = 24
"""Tokens of the float64 sequence: enough for every weight matrix to take part, and a twentieth of the time."""
AFFORDABLE = 1e10
"""Multiply-adds of a forward pass, an eighth of a second on two cores, up to which a full context is run."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Token ids `[batch, time]` and the position of the first column."""

    tokens: torch.Tensor
    start: int = 0


@dataclass(frozen=True, slots=True)
class Probes:
    """Everything that is asked of one model."""

    short: Probe
    """Two sequences from position 0."""
    last: Probe
    """One sequence that ends at the last position; it starts at 0 where a full context is affordable."""
    sharp: Probe
    """The beginning of the first short sequence, for float64."""

    @property
    def tokens(self) -> int:
        """How many positions are compared in float32."""
        return self.short.tokens.numel() + self.last.tokens.numel()


def make_probes(spec: ModelSpec, seed: int) -> Probes:
    """The probes of a spec: in range, spread over the whole vocabulary, first and last id included."""
    random = np.random.default_rng(seed)
    short = min(spec.context, SHORT)
    whole = spec.context if spec.context * multiply_adds(spec) <= AFFORDABLE else short
    tokens = spread(spec.vocab, 2 * short, random).reshape(2, short)
    last = spread(spec.vocab, whole, random).reshape(1, whole)
    return Probes(
        short=Probe(torch.from_numpy(tokens)),
        last=Probe(torch.from_numpy(last), spec.context - whole),
        sharp=Probe(torch.from_numpy(tokens[:1, : min(short, SHARP)].copy())),
    )


def spread(vocab: int, count: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """`count` ids in random order, one from each of `count` equal strips of the vocabulary, with its two ends."""
    ids = ((np.arange(count) + random.random(count)) * vocab / count).astype(np.int64).clip(0, vocab - 1)
    ids[0], ids[-1] = (0, vocab - 1) if count > 1 else (0, 0)
    return random.permutation(ids)


def multiply_adds(spec: ModelSpec) -> int:
    """Multiply-adds per token: the elements of every matrix that multiplies."""
    inner = spec.heads * spec.head_dim
    return spec.layers * spec.d_model * (4 * inner + 2 * spec.d_ff) + spec.vocab * spec.d_model
