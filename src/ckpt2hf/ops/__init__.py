"""Invertible rearrangements of tensors."""

from ckpt2hf.ops.compare import boxes, first_difference, identical
from ckpt2hf.ops.groups import Collect, Deal, Stack, Unstack
from ckpt2hf.ops.mosaic import Mosaic
from ckpt2hf.ops.op import Concat, Op, Split, Squeeze, Transpose, Unsqueeze

__all__ = [
    "Collect",
    "Concat",
    "Deal",
    "Mosaic",
    "Op",
    "Split",
    "Squeeze",
    "Stack",
    "Transpose",
    "Unsqueeze",
    "Unstack",
    "boxes",
    "first_difference",
    "identical",
]
