"""Numbers that follow from a spec and that codebases compute instead of storing: sinusoids and RoPE's frequencies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ckpt2hf.ir.values import RopeScaling

_BASE = 10000.0


def sinusoids(rows: int, width: int) -> NDArray[np.float32]:
    """The table `[rows, width]` of sines in even columns and cosines in odd ones.

    It is computed in float32, step by step as the training code does: that rounding is part of what was trained.
    Source: pytorch/examples word_language_model/model.py (PositionalEncoding), waylandzhang/Transformer-from-scratch
    model.py (forward): exp(arange(0, d, 2) * (-ln(10000) / d)), times the position.
    """
    steps = np.exp(np.arange(0, width, 2, dtype=np.float32) * np.float32(-math.log(_BASE) / width)).astype(np.float32)
    angles = np.arange(rows, dtype=np.float32)[:, None] * steps
    table = np.empty((rows, width), np.float32)
    table[:, 0::2] = np.sin(angles)
    table[:, 1::2] = np.cos(angles)[:, : width // 2]
    return table


def rope_frequencies(theta: float, dims: int, scaling: RopeScaling) -> NDArray[np.float64]:
    """The angle by which each pair turns from one position to the next, `[dims / 2]`.

    Source of the llama3 form: meta-llama/llama-models@a9c89c4 models/llama3/model.py (apply_scaling).
    """
    plain: NDArray[np.float64] = theta ** -(np.arange(0, dims, 2, dtype=np.float64) / dims)
    if scaling.kind == "none":
        return plain
    if scaling.kind == "linear":
        return plain / scaling.numbers[0]
    factor, low, high, original = scaling.numbers
    share = np.clip((original * plain / (2 * math.pi) - low) / (high - low), 0, 1)
    return (1 - share) * plain / factor + share * plain
