"""A tensor cut into boxes that follow one another in its row-major bytes."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from ckpt2hf.errors import BrokenPromiseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.tensors import Box, Meta

BLOCK = 1 << 20
"""Bytes of a box: small enough to stay in a core's cache from the read to the last use, large enough to make the
cost of the calls vanish."""
ROWS = 32
"""Rows a box has at least, so that reading a transposed matrix uses the whole of each cache line it fetches."""
LARGEST = 4 << 20
"""Bytes of a box that needs them to have that many rows: it bounds the memory of a thread."""


def blocks(meta: Meta) -> Iterator[Box]:
    """Boxes that cover the tensor, each a contiguous run of its row-major elements, in order; none if it is empty."""
    if not meta.size:
        return
    shape = meta.shape
    if meta.nbytes <= BLOCK:
        yield tuple(slice(0, n) for n in shape)
        return
    axis, inner = _cut_axis(meta)
    rows = max(BLOCK // inner, min(ROWS, LARGEST // inner), 1)
    pieces = math.ceil(shape[axis] / rows)
    bounds = [shape[axis] * k // pieces for k in range(pieces + 1)]
    whole = tuple(slice(0, n) for n in shape[axis + 1 :])
    for index in itertools.product(*(range(n) for n in shape[:axis])):
        outer = tuple(slice(k, k + 1) for k in index)
        for start, stop in itertools.pairwise(bounds):
            yield (*outer, slice(start, stop), *whole)


def _cut_axis(meta: Meta) -> tuple[int, int]:
    """The axis to cut, and the bytes of one step along it: the first whose step is no larger than a box may be."""
    step = meta.nbytes
    for axis, n in enumerate(meta.shape):
        step //= n
        if n > 1 and step <= LARGEST:
            return axis, step
    raise BrokenPromiseError(f"{meta} is larger than a block, but has no axis to cut")
