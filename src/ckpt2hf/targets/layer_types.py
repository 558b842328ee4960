"""What classes share whose layers differ, some sliding over a window and some seeing everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

LAYERS = frozenset({"layer_pattern", "sliding_window", "rope_local_theta", "rope_theta", "rope_dims"})
"""Fields that such a class expresses."""
BIASED = frozenset({"qkv_bias", "out_bias"})
"""The fields of `attention_bias`."""


def layer_types(spec: ModelSpec) -> dict[str, Any]:
    """The settings that say which layers slide, and how far they see."""
    slides = [spec.layer_pattern.slides(i) for i in range(spec.layers)]
    return {
        "layer_types": ["sliding_attention" if each else "full_attention" for each in slides],
        # Without sliding layers the length is never looked at, but the classes want a number.
        "sliding_window": spec.sliding_window or spec.context,
    }
