"""Tensors that are computed instead of copied. Each produces any box of itself, so memory stays bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.tensors import Array, Box, DType, Meta, Readable

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor with the same number everywhere."""

    meta: Meta
    number: float = 0.0

    def read(self, box: Box) -> Array:
        """The number, as often as the box is large."""
        shape = tuple(part.stop - part.start for part in box)
        return np.full(shape, self.number, self.meta.dtype.numpy)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Every element multiplied by a number, in float64, rounded once."""

    source: Readable
    factor: float

    @property
    def meta(self) -> Meta:
        """The source's shape and type."""
        return self.source.meta

    def read(self, box: Box) -> Array:
        """The scaled box."""
        part = self.source.read(box)
        return (part.astype(np.float64) * self.factor).astype(part.dtype)


@dataclass(frozen=True, slots=True)
class Affine:
    """Every element multiplied by a number, plus a number, in float64, rounded once to a type that holds the sum."""

    source: Readable
    factor: float
    plus: float

    @property
    def meta(self) -> Meta:
        """The source's shape; float32 at least, for bfloat16 would lose what is small beside the one."""
        return Meta(self.source.meta.shape, widest(self.source))

    def read(self, box: Box) -> Array:
        """The changed box."""
        return (self.source.read(box).astype(np.float64) * self.factor + self.plus).astype(self.meta.dtype.numpy)


@dataclass(frozen=True, slots=True)
class Table:
    """An array that was computed."""

    meta: Meta
    array: Array

    def read(self, box: Box) -> Array:
        """A copy of the box, so that nobody writes into the table."""
        part: Array = self.array[box].copy()
        return part


@dataclass(frozen=True, eq=False, slots=True)
class Rows:
    """The rows of a tensor in another order."""

    source: Readable
    order: NDArray[np.int64]
    """For each row, which row of the source it is."""

    @property
    def meta(self) -> Meta:
        """The source's."""
        return self.source.meta

    def read(self, box: Box) -> Array:
        """The rows of the box; what is read of the source is the smallest block that holds them."""
        rows, *rest = box
        wanted = self.order[rows]
        if not wanted.size:
            return self.source.read(box)
        first = int(wanted.min())
        return self.source.read((slice(first, int(wanted.max()) + 1), *rest))[wanted - first]


@dataclass(frozen=True, slots=True)
class Cast:
    """Every element rounded to (or widened into) another type."""

    source: Readable
    dtype: DType

    @property
    def meta(self) -> Meta:
        """The source's shape with the new type."""
        return Meta(self.source.meta.shape, self.dtype)

    def read(self, box: Box) -> Array:
        """The converted box. Overflow gives infinity, as in PyTorch; the health check sees it."""
        with np.errstate(over="ignore"):
            return self.source.read(box).astype(self.dtype.numpy)


@dataclass(frozen=True, slots=True)
class Deviation:
    """A vector with one number everywhere: about the deviation of what a LayerNorm of this weight and bias gives.

    It is the root of mean(weight^2) + var(bias) + eps.
    """

    weight: Readable
    bias: Readable
    eps: float
    dtype: DType

    @property
    def meta(self) -> Meta:
        """The weight's shape with the new type."""
        return Meta(self.weight.meta.shape, self.dtype)

    def read(self, box: Box) -> Array:
        """The number, as often as the box is large; from float64, rounded once."""
        gain, shift = _vector(self.weight), _vector(self.bias)
        number = np.sqrt(np.square(gain).mean() + shift.var() + self.eps)
        shape = tuple(part.stop - part.start for part in box)
        return np.full(shape, number, self.dtype.numpy)


_ROWS = 32
"""Rows folded at a time: their float64 copies stay in the cache, which is five times faster than large blocks."""


@dataclass(frozen=True, slots=True)
class FoldedHead:
    """A head matrix that has swallowed its bias and the final LayerNorm's weight and bias. `[vocab, d_model]`.

    The normalised vector n of a LayerNorm has mean zero, so the all-ones direction of its output is free to carry
    what does not depend on n: with `W' = W diag(g) (I - 11^T/D) + (W beta + b) 1^T / D` and a final norm of weight 1
    and bias 1, `W' (n + 1) = W (g n + beta) + b` for every n of mean zero.

    Row sums run over contiguous rows, so a row's value does not depend on the box it is read in.
    """

    head: Readable
    bias: Readable
    norm_weight: Readable
    norm_bias: Readable
    dtype: DType

    @property
    def meta(self) -> Meta:
        """The head's shape."""
        return Meta(self.head.meta.shape, self.dtype)

    def read(self, box: Box) -> Array:
        """The rows of the box in float64, rounded once; columns cut last."""
        rows, columns = box
        g, beta = (_vector(part) for part in (self.norm_weight, self.norm_bias))
        out = np.empty((rows.stop - rows.start, columns.stop - columns.start), self.dtype.numpy)
        for start in range(rows.start, rows.stop, _ROWS):
            some = slice(start, min(start + _ROWS, rows.stop))
            out[start - rows.start : some.stop - rows.start] = self._fold(some, g, beta)[:, columns]
        return out

    def _fold(self, rows: slice, g: Array, beta: Array) -> Array:
        width = self.head.meta.shape[1]
        w = np.ascontiguousarray(self.head.read((rows, slice(0, width)))).astype(np.float64)
        constant = (w * beta).sum(axis=1) + self.bias.read((rows,)).astype(np.float64)
        w *= g
        w += ((constant - w.sum(axis=1)) / width)[:, None]
        return w


def _vector(part: Readable) -> Array:
    return part.read((slice(0, part.meta.shape[0]),)).astype(np.float64)


def widest(*parts: Readable) -> DType:
    """float64 if any of the tensors is, else float32: what a computed tensor is rounded to."""
    return DType.F64 if any(part.meta.dtype is DType.F64 for part in parts) else DType.F32
