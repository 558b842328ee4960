"""Blocks follow one another in the row-major bytes, and none is large."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

from ckpt2hf.output import blocks as module
from ckpt2hf.output.blocks import LARGEST, blocks
from ckpt2hf.tensors import DType, Meta


@settings(max_examples=200, deadline=None)
@given(array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9), st.integers(2, 5), st.integers(0, 3))
def test_blocks_are_the_tensor_in_order(shape: tuple[int, ...], block: int, more: int) -> None:
    array = np.arange(math.prod(shape), dtype="u2").reshape(shape)
    before = module.BLOCK, module.LARGEST
    module.BLOCK, module.LARGEST = 2**block, 2 ** (block + more)
    try:
        parts = [array[box] for box in blocks(Meta(shape, DType.U16))]
    finally:
        module.BLOCK, module.LARGEST = before
    assert b"".join(part.tobytes() for part in parts) == array.tobytes()
    assert all(0 < part.nbytes <= 2 ** (block + more) for part in parts)


def test_a_single_enormous_row_is_cut_too() -> None:
    for shape in [(1, 10**9), (10**9,), (1, 1, 10**9, 1), (3, 10**8)]:
        boxes = list(blocks(Meta(shape, DType.F32)))
        sizes = [4 * math.prod(part.stop - part.start for part in box) for box in boxes]
        assert sum(sizes) == 4 * math.prod(shape)
        assert max(sizes) <= LARGEST
