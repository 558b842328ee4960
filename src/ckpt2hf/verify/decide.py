"""Which of several readings of a checkpoint computes what the user's own code computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.tolerances import LOGITS_TOLERANCE, Distance, float32_tolerance
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array, Readable

DECISIVE = 10.0
"""How many times further away every other fitting candidate must be for the nearest one to win.

Two specs that differ in eps, or in the form of GELU where weights are small, both fit within float32 tolerance; the
right one is then at the oracle's own rounding noise, mostly float64's, and the wrong one visibly above it."""


SCREEN = 5e-3
"""How far off, in units of the spread, the first few logits may be for a candidate to be looked at closely.

A hundred times the tolerance: wrong heads, a wrong scale or ReLU for GELU cost that much in eight tokens, and are
dismissed at a tenth of the price; tanh for erf GELU and another eps are not."""
_SCREENED = 8


@dataclass(frozen=True, slots=True)
class Fit:
    """How one candidate compares with the oracle."""

    max_abs: float
    """Largest difference of the logits; infinite where the shapes differ."""
    tolerance: float
    shifted: bool
    """Whether it was compared after removing each position's mean: the oracle gives log-probabilities, for example."""

    @property
    def fits(self) -> bool:
        """Whether the candidate computes the oracle's function, as far as float32 shows."""
        return self.max_abs <= self.tolerance


@dataclass(frozen=True, slots=True)
class Decision:
    """Every candidate's fit, and the one that the oracle singles out."""

    fits: Mapping[str, Fit]
    winner: str | None

    @property
    def fitting(self) -> tuple[str, ...]:
        """The candidates within tolerance, nearest first: none, one, or several that the oracle cannot tell apart."""
        return tuple(sorted((n for n, fit in self.fits.items() if fit.fits), key=lambda n: self.fits[n].max_abs))


def decide(
    candidates: Mapping[str, tuple[ModelSpec, Mapping[str, Readable]]], logits: Array, tokens: Array
) -> Decision:
    """Compare the oracle's `logits` `[batch, time, vocab]` for `tokens` with the float64 reference of each candidate.

    None and several are answers, not errors.
    """
    wanted = torch.from_numpy(logits).double()
    asked = torch.from_numpy(tokens).long()
    fits = {
        name: _fit(spec, load_slots(slots, torch.float32), wanted, asked) for name, (spec, slots) in candidates.items()
    }
    nearest = sorted((name for name, fit in fits.items() if fit.fits), key=lambda name: fits[name].max_abs)
    rest = [fits[name].max_abs for name in nearest[1:]]
    alone = bool(nearest) and all(max_abs > DECISIVE * fits[nearest[0]].max_abs for max_abs in rest)
    return Decision(fits, nearest[0] if alone else None)


def _fit(spec: ModelSpec, weights: Mapping[str, torch.Tensor], wanted: torch.Tensor, tokens: torch.Tensor) -> Fit:
    if wanted.shape != (*tokens.shape, spec.vocab):
        return Fit(float("inf"), 0.0, shifted=False)
    glance = reference(spec, weights, tokens[:1, :_SCREENED]).double()
    seen = wanted[:1, :_SCREENED]
    rough = Distance.between(_centred(seen), _centred(glance))
    if not rough.within(SCREEN * rough.scale):
        return Fit(Distance.between(seen, glance).max_abs, LOGITS_TOLERANCE * rough.scale, shifted=False)
    sharp = reference(spec, weights, tokens, dtype=torch.float64)
    noise = Distance.between(reference(spec, weights, tokens).double(), sharp)
    tolerance = float32_tolerance(noise.scale, noise.max_abs)
    plain = Distance.between(wanted, sharp).max_abs
    if plain <= tolerance:
        return Fit(plain, tolerance, shifted=False)
    centred = Distance.between(_centred(wanted), _centred(sharp)).max_abs
    return Fit(centred, tolerance, shifted=True) if centred <= tolerance else Fit(plain, tolerance, shifted=False)


def _centred(logits: torch.Tensor) -> torch.Tensor:
    """The logits without each position's mean: softmax does not see it."""
    return logits - logits.mean(-1, keepdim=True)
