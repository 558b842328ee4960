"""Weights that a type of 16 bits does not reach: converters cut them off, or give infinity, and say nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import UsageError
from ckpt2hf.ops import boxes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt2hf.stages.stage import Stage
    from ckpt2hf.tensors import Box, Readable

_NAMED = 4
"""Tensors that an error names."""
_INSTEAD = {"onnx-fp16": "onnx", "onnx-q4f16": "onnx-q4", "gguf-f16": "gguf-bf16"}
"""The nearest form that has the range of float32."""


def require_reach(stages: Sequence[Stage], family: str, tensors: Mapping[str, Readable], where: str) -> None:
    """Refuse forms of a family whose type does not reach what is to be written in it. Raises UsageError."""
    asked = [stage for stage in stages if stage.family == family and stage.largest is not None]
    if not asked:
        return
    largest = min(stage.largest for stage in asked if stage.largest is not None)
    found = [f"{name} holds {value:.6g}" for name, value in _beyond(tensors, largest)]
    if found:
        instead = [_INSTEAD[stage.id] if stage.largest is not None else stage.id for stage in stages]
        more = [f"and {len(found) - _NAMED} tensors more"] if len(found) > _NAMED else []
        raise UsageError(
            f"{', '.join(stage.id for stage in asked)} cannot hold every weight: float16 ends at {largest:.0f}",
            details=[*found[:_NAMED], *more],
            where=where,
            remedies=[f"--to {','.join(dict.fromkeys(instead))}   has the range of float32"],
        )


def _beyond(tensors: Mapping[str, Readable], largest: float) -> Iterator[tuple[str, float]]:
    """Tensors with numbers of a larger size, and the largest of these."""
    for name, tensor in tensors.items():
        ends = [end for box in boxes(tensor.meta) for end in _ends(tensor, box)]
        end = max(ends, key=abs, default=0.0)
        if abs(end) > largest:
            yield name, end


def _ends(tensor: Readable, box: Box) -> tuple[float, float]:
    """The smallest and the largest number of a box."""
    block = tensor.read(box)
    if block.dtype.kind == "V":  # bfloat16, say, whose reductions are slow
        block = block.astype(np.float32)
    return float(block.min()), float(block.max())
