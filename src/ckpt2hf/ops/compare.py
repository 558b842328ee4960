"""Bit-for-bit comparison of tensors, box by box, so that the first difference ends it and memory stays bounded."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.tensors import Array, Box, Meta, Readable

BLOCK_BYTES = 1 << 21
"""Small enough for a cache, large enough that a strided block is worth bringing into order: measured."""


def boxes(meta: Meta) -> Iterator[Box]:
    """Boxes of about `BLOCK_BYTES` that cover a tensor in row-major order, each contiguous when packed."""
    shape, left = meta.shape, BLOCK_BYTES // meta.dtype.itemsize
    steps = list(shape)
    for axis in range(len(shape)):
        inner = int(np.prod(shape[axis + 1 :], dtype=np.int64))
        steps[axis] = min(shape[axis], max(1, left // max(inner, 1)))
        if steps[axis] > 1 or inner <= left:
            break
    if 0 in shape:
        return
    ranges = [range(0, n, step) for n, step in zip(shape, steps, strict=True)]
    for starts in product(*ranges):
        corner = zip(starts, steps, shape, strict=True)
        yield tuple(slice(start, min(start + step, n)) for start, step, n in corner)


def first_difference(a: Readable, b: Readable) -> tuple[int, ...] | None:
    """The index of the first element whose bits differ, or None. Both must have the same shape and type."""
    for box in boxes(a.meta):
        left, right = a.read(box), b.read(box)
        if not _same_bytes(left, right):
            inside = np.argwhere(bits(left) != bits(right))[0]
            return tuple(int(k) + part.start for k, part in zip(inside, box, strict=True))
    return None


def identical(a: Readable, b: Readable) -> bool:
    """Whether two tensors have the same shape, the same type and the same bits."""
    return a.meta == b.meta and first_difference(a, b) is None


def _same_bytes(left: Array, right: Array) -> bool:
    """Whether two arrays hold the same bytes in row-major order; eight at a time, twice as fast as four."""
    one, other = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (left, right))
    whole = one.size // 8 * 8
    same = np.array_equal(one[:whole].view(np.uint64), other[:whole].view(np.uint64))
    return same and np.array_equal(one[whole:], other[whole:])


def bits(array: Array) -> Array:
    """The elements as unsigned integers of their size: NaN equals itself and -0.0 is not 0.0."""
    return array.view(f"u{array.dtype.itemsize}")
