"""How far two computations of the same function may lie apart, and why no further."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.rewrites import Exactness

if TYPE_CHECKING:
    import torch

LOGITS_TOLERANCE = 5e-5
"""Largest float32 difference, in units of the logits' own spread.

Two correct float32 implementations measured 1e-6 to 6e-6 of it apart on every supported codebase; the mildest mistakes
(tanh for erf GELU, eps 1e-6 for 1e-5) cost 1e-4 to 2e-3 there. Relative to the spread because a model's logits can be
scaled freely: an untrained one has 0.1, a trained one 3.
"""
NOISE_ALLOWANCE = 4.0
"""What a float32 difference may be in units of the source model's own rounding noise, if that is more.

The noise is measured on the source alone (its forward pass in float32 against float64), so no mistake of the mapping
can raise it. It counts only beyond 1.25e-5 of the spread, twice the noisiest model measured: models with huge
activations need it, whose float32 logits are that uncertain in any implementation. The float64 check knows no noise.
"""
BITWISE_TOLERANCE = 1e-10
"""Largest float64 difference relative to the spread when weights were only rearranged. Measured: up to 1e-14."""
ALGEBRAIC_TOLERANCE = 1e-6
"""The same when a rewrite rounded once to float32 (6e-8 per weight).

Measured: 1.5e-7 for a folded head bias, at widths 24 and 768; tanh for erf GELU costs 5e-6 to 1e-3 there."""
ALGEBRAIC_SHARE = 0.25
"""The same in units of the source's float32 rounding noise, if that is more: one rounding against the hundreds of a
forward pass. Measured: 0.04 to 0.14. It counts only for models whose activations make float32 itself inexact."""

NUMERICAL_TOLERANCE = 2e-5
"""The same where a final norm became a block of its own, which forgets its eps: the user has allowed it.

Measured: 1e-6 to 9e-6 of the spread; a forgotten final norm or a wrong constant in its place costs 1e-4 and more."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far `found` lies from `wanted`, and how large `wanted` is."""

    max_abs: float
    mean_abs: float
    scale: float
    """Standard deviation of `wanted` within a position, over all positions."""
    top1_agreement: float
    """Share of positions with the same largest element."""

    @classmethod
    def between(cls, found: torch.Tensor, wanted: torch.Tensor) -> Distance:
        """Compare two tensors `[…, width]` of the same shape; every number is NaN where one of them has NaN."""
        apart = (found - wanted).abs()
        same = found.argmax(-1) == wanted.argmax(-1)
        return cls(float(apart.max()), float(apart.mean()), spread(wanted), float(same.double().mean()))

    def within(self, tolerance: float) -> bool:
        """Whether the largest difference is at most `tolerance`; never with NaN."""
        return self.max_abs <= tolerance


def spread(values: torch.Tensor) -> float:
    """Standard deviation within the last axis, over all positions: blind to a constant added to a position."""
    return float((values - values.mean(-1, keepdim=True)).square().mean().sqrt())


def float32_tolerance(scale: float, noise: float) -> float:
    """Largest difference of float32 logits of this spread from a source with this rounding noise."""
    return max(LOGITS_TOLERANCE * scale, NOISE_ALLOWANCE * noise)


def float64_tolerance(scale: float, exactness: Exactness, noise: float = 0.0) -> float:
    """Largest difference of float64 activations of this spread; `noise` is the source's, in units of its spread."""
    if exactness is Exactness.BITWISE:
        return scale * BITWISE_TOLERANCE
    # What the user had rounded is none of these: it is held against the rounded numbers, which are only moved.
    least = {Exactness.ALGEBRAIC: ALGEBRAIC_TOLERANCE, Exactness.NUMERICAL: NUMERICAL_TOLERANCE}[exactness]
    return scale * max(least, ALGEBRAIC_SHARE * noise)
