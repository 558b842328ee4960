"""Norms without a weight, weights that count from one, and norms of queries and keys on either side of RoPE."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import QkNorm
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Affine, Constant
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True, slots=True)
class UnitWeights:
    """A norm without a weight is one whose weight is one everywhere."""

    solves: str
    """`norm_weight` or `qk_norm_weight`."""
    what: str

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with explicit ones; zeros where weights count from one. None where there is no norm."""
        if getattr(spec, self.solves) or (self.solves == "qk_norm_weight" and spec.qk_norm is QkNorm.NONE):
            return None
        change: dict[str, Any] = {self.solves: True}
        after = replace(spec, **change)
        ones = 0.0 if after.norm_offset else 1.0
        added = [name for name in slots_of(after) if name not in slots]
        made = {name: Mosaic.of(Constant(Meta(slots_of(after)[name], DType.F32), ones)) for name in added}
        return Rewritten(
            id=f"ones for {self.what}",
            why=f"{self.what} have no weight here; a weight of one changes nothing",
            exactness=Exactness.BITWISE,
            spec=after,
            slots={name: made[name] if name in made else slots[name] for name in slots_of(after)},
            computed=dict.fromkeys(added, ()),
        )


@dataclass(frozen=True, slots=True)
class ShiftNormWeights:
    """A weight w that counts from one is the weight 1 + w of a norm that multiplies with it; and the reverse."""

    solves: str = "norm_offset"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten:
        """The same function with the sum."""
        plus = 1.0 if spec.norm_offset else -1.0
        touched = [name for name in slots if "norm" in name and name.endswith(".weight")]
        after = {**slots, **{name: Mosaic.of(Affine(slots[name], 1.0, plus)) for name in touched}}
        return Rewritten(
            id="one added to norm weights" if plus > 0 else "one taken off norm weights",
            why="stored weights of norms count from one, and this class multiplies with them as they are"
            if plus > 0
            else "this class counts the weights of norms from one",
            exactness=Exactness.ALGEBRAIC,
            spec=replace(spec, norm_offset=not spec.norm_offset),
            slots=after,
            computed={name: (name,) for name in touched},
            activations=frozenset({"layers.{i}.attn", "layers.{i}.mlp", "layers.{i}", "final_norm"}),
        )


@dataclass(frozen=True, slots=True)
class NormBeforeRope:
    """Turning keeps the length of a vector: a norm without weights may come before RoPE as well as after it."""

    solves: str = "qk_norm_after_rope"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with the norm first. None for a weight, which would not be turned."""
        if spec.qk_norm_weight or not spec.qk_norm_after_rope:
            return None
        return Rewritten(
            id="query and key norms before RoPE",
            why="RoPE keeps the length of a vector, and these norms have no weight",
            exactness=Exactness.BITWISE,
            spec=replace(spec, qk_norm_after_rope=False),
            slots=slots,
        )
