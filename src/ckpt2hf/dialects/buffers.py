"""Tensors that carry no knowledge, made anew: masks and tables that training code keeps with its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.errors import UnsupportedError
from ckpt2hf.ir import RopeLayout
from ckpt2hf.ir.tables import rope_frequencies, sinusoids
from ckpt2hf.naming import Expectation
from ckpt2hf.tensors import Array, Box, DType, Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.dialects.schema import DropEntry
    from ckpt2hf.ir import ModelSpec

_SCORE = -1e5
"""What a masked score is replaced with: any number that softmax turns into zero."""


@dataclass(frozen=True, eq=False, slots=True)
class Buffer:
    """A tensor whose numbers follow from the spec."""

    meta: Meta
    array: Array

    def read(self, box: Box) -> Array:
        """A copy of the box."""
        part: Array = self.array[box].copy()
        return part


def buffer(entry: DropEntry, spec: ModelSpec) -> Buffer:
    """What the code would have registered. Raises UnsupportedError for a model that has no such thing."""
    made = _MADE[entry.expect](spec)
    if made is None:
        raise UnsupportedError(f"{entry.name} is a {entry.expect.value}, which cannot be made for this model")
    dims = spec.dims()
    shape = tuple(dims[word] for word in entry.shape) or made.shape
    dtype = DType.from_torch(entry.dtype) if entry.dtype else _TYPES.get(entry.expect, DType.F32)
    if math.prod(shape) != made.size:
        raise UnsupportedError(
            f"{entry.name} cannot be a {entry.expect.value} of {list(shape)}",
            details=[f"for this model it has {list(made.shape)}"],
        )
    return Buffer(Meta(shape, dtype), made.reshape(shape).astype(dtype.numpy))


def _causal(spec: ModelSpec) -> Array:
    return np.tri(spec.context, dtype=np.bool_)


def _additive(spec: ModelSpec) -> Array:
    return np.where(_causal(spec), np.float32(0), np.float32(-np.inf))


def _angles(spec: ModelSpec) -> Any:  # noqa: ANN401 - an array, or nothing
    if not spec.rope_dims:
        return None
    steps = rope_frequencies(spec.rope_theta, spec.rope_dims, spec.rope_scaling)
    return np.arange(spec.context, dtype=np.float64)[:, None] * steps


def _table(function: Callable[[Array], Array]) -> Callable[[ModelSpec], Array | None]:
    """A table of a function of the angles, every column twice, as the numbers that are turned together stand."""

    def made(spec: ModelSpec) -> Array | None:
        angles = _angles(spec)
        if angles is None:
            return None
        neighbours = spec.rope_layout is RopeLayout.PAIRS
        return function(np.repeat(angles, 2, axis=1) if neighbours else np.concatenate([angles, angles], axis=1))

    return made


def _turns(spec: ModelSpec) -> Array | None:
    angles = _angles(spec)
    return None if angles is None else np.exp(1j * angles)


def _steps(spec: ModelSpec) -> Array | None:
    return rope_frequencies(spec.rope_theta, spec.rope_dims, spec.rope_scaling) if spec.rope_dims else None


_TYPES = {Expectation.POSITION_IDS: DType.I64, Expectation.ROPE_ANGLES: DType.C64}
_MADE: Mapping[Expectation, Callable[[ModelSpec], Array | None]] = {
    Expectation.CAUSAL_MASK: _causal,
    Expectation.FUTURE_MASK: lambda spec: ~_causal(spec),
    Expectation.ADDITIVE_MASK: _additive,
    Expectation.MASKED_SCORE: lambda _spec: np.array(_SCORE),
    Expectation.POSITION_IDS: lambda spec: np.arange(spec.context),
    Expectation.ROPE_FREQUENCIES: _steps,
    Expectation.ROPE_ANGLES: _turns,
    Expectation.ROPE_COSINES: _table(np.cos),
    Expectation.ROPE_SINES: _table(np.sin),
    Expectation.SINUSOIDS: lambda spec: sinusoids(spec.context, spec.d_model),
}
"""For each expectation, the numbers that meet it."""
