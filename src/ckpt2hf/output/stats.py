"""Smallest and largest element, whether all are finite, and the checksum: gathered while the bytes pass by."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.tensors import Array, DType

if TYPE_CHECKING:
    from ckpt2hf.tensors import Meta


@dataclass(frozen=True, slots=True)
class TensorStats:
    """What was seen of the written elements.

    `low` and `high` are both NaN if any element is NaN, and 0.0 for a tensor without elements; a complex tensor is
    seen as its real and imaginary parts. `crc32` is that of the row-major little-endian bytes, as in a zip file.
    """

    low: float
    high: float
    finite: bool
    crc32: int


class Observer:
    """The statistics of one tensor, told its elements in row-major order, block by block.

    Floating-point elements are compared as the integers their bits spell: among numbers of one sign, bits and
    magnitude agree in order, and NaN lies beyond infinity. So four integer reductions, which run at the speed of the
    cache, serve every type, also those that NumPy would have to convert first.
    """

    def __init__(self, meta: Meta) -> None:
        """Nothing seen yet."""
        self._dtype = DType.F32 if meta.dtype is DType.C64 else meta.dtype
        self._signed = np.dtype(f"<i{self._dtype.itemsize}")
        self._unsigned = np.dtype(f"<u{self._dtype.itemsize}")
        self._crc = 0
        self._ends: tuple[int, int, int, int] | None = None

    def see(self, data: Array) -> None:
        """Take in the next elements, at least one, given as their bytes: uint8, one axis."""
        self._crc = zlib.crc32(data.data, self._crc)
        signed, unsigned = data.view(self._signed), data.view(self._unsigned)
        low, high = int(signed.min()), int(signed.max())
        least, most = int(unsigned.min()), int(unsigned.max())
        if self._ends:
            low, high = min(low, self._ends[0]), max(high, self._ends[1])
            least, most = min(least, self._ends[2]), max(most, self._ends[3])
        self._ends = low, high, least, most

    def stats(self) -> TensorStats:
        """The statistics of everything seen."""
        if self._ends is None:
            return TensorStats(0.0, 0.0, finite=True, crc32=0)
        low, high, least, most = self._ends
        if not self._dtype.is_float:
            signed = self._dtype.numpy.kind == "i"
            return TensorStats(float(low if signed else least), float(high if signed else most), True, self._crc)
        # A negative number has the sign bit, so it is the larger unsigned number the smaller it is.
        bottom = self._decoded(most if low < 0 else least)
        top = self._decoded(high if high >= 0 else least)
        if math.isnan(bottom) or math.isnan(top):
            bottom = top = math.nan
        return TensorStats(bottom, top, math.isfinite(bottom) and math.isfinite(top), self._crc)

    def _decoded(self, bits: int) -> float:
        """The number that an element's bits spell."""
        return float(np.array([bits], self._unsigned).view(self._dtype.numpy)[0])
