"""RoPE as a spec describes it, in whatever precision is asked for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ckpt2hf.ir import RopeLayout, RopeScaling

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec


def frequencies(theta: float, dims: int, scaling: RopeScaling, dtype: torch.dtype) -> Tensor:
    """The angle by which each pair turns from one position to the next, `[dims / 2]`.

    Every step is taken in `dtype`. In float32 that is how training code and transformers compute it, so that at high
    positions, where an angle is only as exact as its last bit, the same bits come out.
    """
    plain = 1.0 / (theta ** (torch.arange(0, dims, 2, dtype=torch.int64).to(dtype) / dims))
    if scaling.kind == "linear":
        return plain / scaling.numbers[0]
    return _llama3(plain, *scaling.numbers) if scaling.kind == "llama3" else plain


def _llama3(plain: Tensor, factor: float, low: float, high: float, original: float) -> Tensor:
    """Slow frequencies divided by `factor`, fast ones kept, those between blended.

    Source: meta-llama/llama-models@a9c89c4 models/llama3/model.py (apply_scaling).
    """
    lengths = 2 * math.pi / plain
    share = (original / lengths - low) / (high - low)
    blended = (1 - share) * plain / factor + share * plain
    slow = torch.where(lengths > original / low, plain / factor, plain)
    between = (lengths <= original / low) & (lengths >= original / high)
    return torch.where(between, blended, slow)


def turned(x: Tensor, at: Tensor, spec: ModelSpec, *, sliding: bool) -> Tensor:
    """`x` `[batch, heads, time, head_dim]` turned by the angles of the positions `at`, which broadcast to `[…, time]`.

    The numbers of a head beyond `rope_dims` stay as they are.
    """
    theta = spec.rope_local_theta if sliding else spec.rope_theta
    scaling = RopeScaling("none") if sliding else spec.rope_scaling
    angles = at.to(x.dtype)[..., None] * frequencies(theta, spec.rope_dims, scaling, x.dtype)
    cos, sin = angles.cos(), angles.sin() * (-1 if spec.rope_reversed else 1)
    part, rest = x[..., : spec.rope_dims], x[..., spec.rope_dims :]
    if spec.rope_layout is RopeLayout.PAIRS:
        a, b = part[..., 0::2], part[..., 1::2]
        moved = torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)
    else:
        a, b = part.chunk(2, -1)
        moved = torch.cat((a * cos - b * sin, b * cos + a * sin), -1)
    return torch.cat((moved, rest), -1)
