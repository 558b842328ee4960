"""What a tensor must be shown to be before it may be left out: one function for each expectation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.ir import Position, RopeLayout
from ckpt2hf.ir.tables import rope_frequencies, sinusoids
from ckpt2hf.naming import Expectation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array

    Proof = Callable[[Array, ModelSpec], str | None]

_MATRIX = 2
_MASKED = -1e4
_ANGLE = 2e-6
"""How far, for each position it is from the first, an angle in float32 may lie from the exact one: a few roundings of
6e-8. Another theta or another scaling is off by a hundredth at position 1."""
_COARSE = 2**-8
"""The same for tables stored in bfloat16 or float16."""


def _side(mask: Array) -> int | None:
    """The side of a square mask whose leading axes are of length one."""
    square = mask.ndim >= _MATRIX and mask.shape[-1] == mask.shape[-2] and mask.size == mask.shape[-1] ** 2
    return mask.shape[-1] if square else None


def _not_causal(mask: Array, _spec: ModelSpec) -> str | None:
    side = _side(mask)
    if side is None:
        return f"is {list(mask.shape)}, not a square mask"
    if np.array_equal(mask.reshape(side, side), np.tri(side, dtype=mask.dtype)):
        return None
    return "is not a causal mask (ones on and below the diagonal, zeros above)"


def _not_future(mask: Array, _spec: ModelSpec) -> str | None:
    side = _side(mask)
    if side is None:
        return f"is {list(mask.shape)}, not a square mask"
    if np.array_equal(mask.reshape(side, side), 1 - np.tri(side, dtype=np.int8)):
        return None
    return "is not a mask of the future (ones above the diagonal, zeros elsewhere)"


def _not_additive(mask: Array, _spec: ModelSpec) -> str | None:
    side = _side(mask)
    if side is None:
        return f"is {list(mask.shape)}, not a square mask"
    square, seen = mask.reshape(side, side), np.tri(side, dtype=np.bool_)
    if (square[seen] == 0).all() and (square[~seen] <= _MASKED).all():
        return None
    return f"is not added to mask the future (zeros on and below the diagonal, {_MASKED:g} or less above)"


def _not_masked(score: Array, _spec: ModelSpec) -> str | None:
    if score.size == 1 and float(score.reshape(-1)[0]) <= _MASKED:
        return None
    return f"is no single number of {_MASKED:g} or less"


def _not_positions(ids: Array, _spec: ModelSpec) -> str | None:
    count = ids.shape[-1] if ids.ndim else 0
    if ids.size == count and np.array_equal(ids.reshape(-1), np.arange(count)):
        return None
    return "is not 0, 1, 2 and so on"


def _not_sinusoids(found: Array, spec: ModelSpec) -> str | None:
    shape = [n for n in found.shape if n != 1]
    if spec.position is not Position.SINUSOIDAL or len(shape) != _MATRIX or shape[1] != spec.d_model:
        return f"is {list(found.shape)}, no table of positions for a model of width {spec.d_model} that computes them"
    if shape[0] < spec.context:
        return f"ends at position {shape[0] - 1}, and the facts say that context is {spec.context}"
    exact = sinusoids(shape[0], shape[1]).astype(np.float64)
    allowed = np.maximum(np.arange(shape[0], dtype=np.float64)[:, None], 1) * _slack(found)
    if (np.abs(found.reshape(shape).astype(np.float64) - exact) <= allowed).all():
        return None
    return "does not hold the sines and cosines of the positions"


def _not_frequencies(found: Array, spec: ModelSpec) -> str | None:
    wanted = _frequencies(spec)
    if wanted is None or found.shape != wanted.shape:
        return f"is {list(found.shape)}, and the model has {0 if wanted is None else wanted.size} frequencies"
    if np.allclose(found.astype(np.float64), wanted, rtol=_slack(found), atol=0):
        return None
    return f"does not hold the frequencies of rope_theta {spec.rope_theta:g}, rope_scaling {spec.rope_scaling}"


def _not_angles(found: Array, spec: ModelSpec) -> str | None:
    if not np.iscomplexobj(found):
        return "is not complex"
    return _not_table(found.real, spec, np.cos) or _not_table(found.imag, spec, np.sin)


def _not_cosines(found: Array, spec: ModelSpec) -> str | None:
    return _not_table(found, spec, np.cos)


def _not_sines(found: Array, spec: ModelSpec) -> str | None:
    return _not_table(found, spec, np.sin)


def _not_table(found: Array, spec: ModelSpec, function: Callable[[Array], Array]) -> str | None:
    """What speaks against a table `[positions, pairs]` of a function of the angles.

    Each column stands there once, or twice, where the numbers that are turned together are.
    """
    wanted = _frequencies(spec)
    shape = [n for n in found.shape if n != 1]
    if wanted is None or len(shape) != _MATRIX or shape[1] not in (wanted.size, 2 * wanted.size):
        return f"is {list(found.shape)}, no table of angles for {0 if wanted is None else wanted.size} pairs"
    table, positions = found.reshape(shape).astype(np.float64), np.arange(shape[0], dtype=np.float64)[:, None]
    exact, allowed = function(positions * wanted), np.maximum(positions, 1) * _slack(found)
    parts = [table[:, : wanted.size], table[:, -wanted.size :]]  # the same one where each column stands once
    if spec.rope_layout is RopeLayout.PAIRS and shape[1] > wanted.size:
        parts = [table[:, 0::2], table[:, 1::2]]
    if all((np.abs(part - exact) <= allowed).all() for part in parts):
        return None
    return f"does not hold the angles of rope_theta {spec.rope_theta:g}, rope_scaling {spec.rope_scaling}"


def _frequencies(spec: ModelSpec) -> Array | None:
    if spec.position is not Position.ROPE:
        return None
    return rope_frequencies(spec.rope_theta, spec.rope_dims, spec.rope_scaling)


def _slack(found: Array) -> float:
    return _ANGLE if found.dtype.itemsize >= 4 else _COARSE  # noqa: PLR2004 - bytes of float32


PROOFS: Mapping[Expectation, Proof] = {
    Expectation.CAUSAL_MASK: _not_causal,
    Expectation.FUTURE_MASK: _not_future,
    Expectation.ADDITIVE_MASK: _not_additive,
    Expectation.MASKED_SCORE: _not_masked,
    Expectation.POSITION_IDS: _not_positions,
    Expectation.SINUSOIDS: _not_sinusoids,
    Expectation.ROPE_FREQUENCIES: _not_frequencies,
    Expectation.ROPE_ANGLES: _not_angles,
    Expectation.ROPE_COSINES: _not_cosines,
    Expectation.ROPE_SINES: _not_sines,
}
"""For each expectation, what speaks against it: None where nothing does."""
