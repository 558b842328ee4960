"""Invertible rearrangements of tensors."""

from ckpt2hf.ops.compare import boxes, first_difference, identical
from ckpt2hf.ops.mosaic import Mosaic
from ckpt2hf.ops.op import Concat, Op, Split, Squeeze, Transpose, Unsqueeze

__all__ = [
    "Concat",
    "Mosaic",
    "Op",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "boxes",
    "first_difference",
    "identical",
]
