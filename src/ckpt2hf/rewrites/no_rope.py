"""Models without positions in attention, into classes with RoPE; and RoPE by the number of the head, the mistake."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Position, RopeLayout, RopeScaling
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.ops import Mosaic

NEVER = RopeScaling("linear:1e+30")
"""Stretches frequencies until no position turns anything: the cosine is 1 and the sine below 1e-24 at any length."""


@dataclass(frozen=True, slots=True)
class ForgetHeadTurns:
    """Where each query head has a key head of its own, both are turned by the same angle, which no score sees."""

    solves: str = "position"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same scores without RoPE. None for grouped queries, whose heads are turned against their keys'."""
        if spec.position is not Position.ROPE_ON_HEADS or spec.heads != spec.kv_heads:
            return None
        if spec.qk_norm_after_rope and spec.qk_norm_weight:
            return None  # a weight that differs from number to number does not commute with a turn
        return Rewritten(
            id="RoPE on the head axis does nothing",
            why="query and key of a head are turned by the same angle, that of the head's number",
            exactness=Exactness.BITWISE,
            spec=replace(spec, **_without_rope()),
            slots=slots,
        )


@dataclass(frozen=True, slots=True)
class StandStill:
    """No position at all is a RoPE so slow that nothing turns."""

    solves: str = "position"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with a RoPE that stands still. None for a model that has positions."""
        if spec.position is not Position.NONE or spec.head_dim % 2 or "s" in spec.layer_pattern.text:
            return None
        after = replace(
            spec,
            position=Position.ROPE,
            rope_layout=RopeLayout.HALVES,
            rope_theta=1e4,
            rope_dims=spec.head_dim,
            rope_scaling=NEVER,
        )
        return Rewritten(
            id="a RoPE that stands still",
            why="this model has no positions in attention; frequencies divided by 1e30 turn nothing",
            exactness=Exactness.BITWISE,
            spec=after,
            slots=slots,
        )


def _without_rope() -> dict[str, Any]:
    return {
        "position": Position.NONE,
        "rope_layout": RopeLayout.NONE,
        "rope_reversed": False,
        "rope_theta": 0.0,
        "rope_dims": 0,
        "rope_scaling": RopeScaling("none"),
        "rope_local_theta": 0.0,
        "rope_everywhere": True,
        "qk_norm_after_rope": False,
    }
