"""The base of RoPE read off what some codebases save of it: frequencies, complex angles, or cosines.

What is read here is only a first idea: the same tensor is left out, which asks for the proof that it holds exactly the
angles of this base, at every position.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array, Stored

_TABLE = 2
_ROUND = 1e-4
"""How far the number that float32 gives may lie from the round one that somebody wrote (measured: up to 1e-5)."""


def rope_base(ref: Stored) -> float | None:
    """The base, rounded to the three digits that people write; None where the tensor shows no such number."""
    shape = ref.meta.shape
    if len(shape) == 1 and shape[0] > 1:
        return _base(_numbers(ref.read((slice(1, 2),)))[0], 1 / shape[0])
    if len(shape) != _TABLE or shape[0] < _TABLE or shape[1] < _TABLE:
        return None
    second = ref.read((slice(1, 2), slice(0, shape[1])))[0]
    if np.iscomplexobj(second):
        return _base(float(np.angle(second[1])), 1 / shape[1])
    angles = np.arccos(np.clip(_numbers(second), -1, 1))
    pairs = shape[1] // 2
    halves = bool(np.array_equal(angles[:pairs], angles[pairs:]))
    return _base(float(angles[1 if halves else 2]), 1 / pairs) if shape[1] > _TABLE else None


def _numbers(array: Array) -> Array:
    return array.astype(np.float64)


def _base(frequency: float, exponent: float) -> float | None:
    """The base whose power `-exponent` is the frequency of the second pair."""
    if not 0 < frequency < 1:
        return None
    exact = frequency ** (-1 / exponent)
    if not math.isfinite(exact):
        return None
    nearest = float(f"{exact:.3g}")
    return nearest if abs(nearest - exact) <= _ROUND * exact else None
