"""The token sequences a converted model is questioned with: the same ones every time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ckpt2hf.verify.effort import SHARP, last, short

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec


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
    few, whole = short(spec), last(spec)
    first = spread(spec.vocab, 2 * few, random).reshape(2, few)
    final = spread(spec.vocab, whole, random).reshape(1, whole)
    return Probes(
        short=Probe(torch.from_numpy(first)),
        last=Probe(torch.from_numpy(final), spec.context - whole),
        sharp=Probe(torch.from_numpy(first[:1, : min(few, SHARP)].copy())),
    )


def spread(vocab: int, count: int, random: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """`count` ids in random order, one from each of `count` equal strips of the vocabulary, with its two ends."""
    ids = ((np.arange(count) + random.random(count)) * vocab / count).astype(np.int64).clip(0, vocab - 1)
    ids[0], ids[-1] = (0, vocab - 1) if count > 1 else (0, 0)
    return random.permutation(ids)
