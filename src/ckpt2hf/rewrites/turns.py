"""The identities from a Hugging Face model towards what a training code can hold, each told what value is wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from ckpt2hf.ir import Factor, Position, QkNorm, RopeLayout, RopeScaling
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ir.tables import sinusoids
from ckpt2hf.ops import Mosaic, identical
from ckpt2hf.rewrites.leaves import Constant, Scaled, Table
from ckpt2hf.rewrites.no_rope import NEVER
from ckpt2hf.rewrites.norms import ShiftNormWeights, UnitWeights
from ckpt2hf.rewrites.rewrite import Exactness, Rewrite, Rewritten
from ckpt2hf.rewrites.rope_layout import TurnForward, TurnHalves
from ckpt2hf.rewrites.sinusoids import WriteSinusoids
from ckpt2hf.rewrites.zero_bias import ZeroBias
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec

_HALF = 0.5


class Turn(Protocol):
    """An identity that can be asked for a value."""

    @property
    def solves(self) -> str:
        """The field it changes."""
        ...

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """The model with the wanted value, or None where it would not be the same function."""
        ...


@dataclass(frozen=True, slots=True)
class Adopted:
    """A rewrite that is used the way it goes towards a Hugging Face class, too."""

    rewrite: Rewrite

    @property
    def solves(self) -> str:
        """The field it changes."""
        return self.rewrite.solves

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """What it makes, if that is what is wanted."""
        made = self.rewrite.apply(spec, slots)
        return made if made and getattr(made.spec, self.solves) == wanted else None


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Tensors that hold one number everywhere and change nothing: biases of zero, weights of one."""

    solves: str
    what: str

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """The same function without them; None if any number is another. It reads vectors only."""
        if wanted is not False or not getattr(spec, self.solves):
            return None
        weights = self.solves.endswith("weight")
        if weights and spec.norm_bias and self.solves == "norm_weight":
            return None
        change: dict[str, Any] = {self.solves: False}
        if weights and not (spec.qk_norm_weight if self.solves == "norm_weight" else spec.norm_weight):
            change["norm_offset"] = False
        after = replace(spec, **change)
        number = float(weights and not spec.norm_offset)
        gone = [name for name in slots if name not in slots_of(after)]
        plain = {name: Mosaic.of(Constant(slots[name].meta, number)) for name in gone}
        if not all(identical(slots[name], plain[name]) for name in gone):
            return None
        return Rewritten(
            id=f"{'ones' if number else 'zeros'} left out: {self.what}",
            why=f"every number of the {self.what} is {number:g}, which changes nothing",
            exactness=Exactness.BITWISE,
            spec=after,
            slots={name: slots[name] for name in slots_of(after)},
            left_out=plain,
        )


@dataclass(frozen=True, slots=True)
class ZeroHeadBias:
    """A head bias of zero, for code whose head always has one."""

    solves: str = "head_bias"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """The same function with explicit zeros."""
        if wanted is not True or spec.head_bias:
            return None
        after = replace(spec, head_bias=True)
        dtype = slots["embed.weight" if spec.tied else "head.weight"].meta.dtype
        zeros = Mosaic.of(Constant(Meta(slots_of(after)["head.bias"], dtype)))
        return Rewritten(
            id="zero head bias",
            why="this code's head has a bias; one of zero adds nothing",
            exactness=Exactness.BITWISE,
            spec=after,
            slots={name: slots.get(name, zeros) for name in slots_of(after)},
            computed={"head.bias": ()},
        )


@dataclass(frozen=True, slots=True)
class ForgetSinusoids:
    """A table of positions that holds just the sinusoids is left to the code to compute."""

    solves: str = "position"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """The same function without the table; None if any bit of it is another."""
        if wanted is not Position.SINUSOIDAL or spec.position is not Position.LEARNED:
            return None
        meta = Meta((spec.context, spec.d_model), DType.F32)
        table = Mosaic.of(Table(meta, sinusoids(spec.context, spec.d_model)))
        if not identical(slots["positions.weight"], table):
            return None
        after = replace(spec, position=Position.SINUSOIDAL)
        return Rewritten(
            id="sinusoids left to the code",
            why="the table of positions is what this code computes, every bit",
            exactness=Exactness.BITWISE,
            spec=after,
            slots={name: slots[name] for name in slots_of(after)},
            left_out={"positions.weight": table},
        )


@dataclass(frozen=True, slots=True)
class ForgetStill:
    """A RoPE that stands still is no position at all."""

    solves: str = "position"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """The same function without RoPE; None for one that turns anything."""
        if wanted is not Position.NONE or spec.position is not Position.ROPE or spec.rope_scaling != NEVER:
            return None
        none = {"rope_theta": 0.0, "rope_dims": 0, "rope_scaling": RopeScaling("none"), "rope_layout": RopeLayout.NONE}
        return Rewritten(
            id="RoPE that stands still left out",
            why="its frequencies are stretched until no position turns anything",
            exactness=Exactness.BITWISE,
            spec=replace(spec, position=Position.NONE, **none),  # type: ignore[arg-type]
            slots=slots,
        )


@dataclass(frozen=True, slots=True)
class UnfoldAttentionScale:
    """Scores that the code scales otherwise, as q is divided by the ratio."""

    solves: str = "attention_scale"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic], wanted: object) -> Rewritten | None:
        """The same scores with the wanted scale; bitwise when the ratio is a power of two."""
        if not isinstance(wanted, Factor) or spec.qk_norm is not QkNorm.NONE:
            return None
        now, then = (f.relative(head_dim=spec.head_dim, d_model=spec.d_model) for f in (spec.attention_scale, wanted))
        ratio = now / then
        exact = abs(math.frexp(ratio)[0]) == _HALF
        touched = frozenset(name for name in slots if ".attn.q." in name)
        return Rewritten(
            id="attention scale out of q",
            why=f"this code scales scores with {wanted}, not with {spec.attention_scale}: q takes the ratio {ratio:g}",
            exactness=Exactness.BITWISE if exact else Exactness.ALGEBRAIC,
            spec=replace(spec, attention_scale=wanted),
            slots={name: Mosaic.of(Scaled(slot, ratio)) if name in touched else slot for name, slot in slots.items()},
            computed={} if exact else {name: (name,) for name in touched},
            undo={name: lambda part: Mosaic.of(Scaled(part, 1 / ratio)) for name in touched} if exact else {},
        )


BIASES = (
    LeaveOut("norm_bias", "biases of the norms"),
    LeaveOut("qkv_bias", "bias of the attention input"),
    LeaveOut("out_bias", "bias of the attention output"),
    LeaveOut("mlp_bias", "biases of the MLP"),
)
"""Biases that may have been added only because the class has them."""
TURNS: tuple[Turn, ...] = (
    *BIASES,
    LeaveOut("norm_weight", "weights of the norms"),
    LeaveOut("qk_norm_weight", "weights of the norms of queries and keys"),
    Adopted(ZeroBias("norm_bias", "LayerNorm bias")),
    Adopted(ZeroBias("qkv_bias", "attention input bias")),
    Adopted(ZeroBias("out_bias", "attention output bias")),
    Adopted(ZeroBias("mlp_bias", "MLP bias")),
    ZeroHeadBias(),
    Adopted(WriteSinusoids()),
    ForgetSinusoids(),
    ForgetStill(),
    Adopted(TurnForward()),
    Adopted(TurnHalves()),
    Adopted(UnitWeights("norm_weight", "norms")),
    Adopted(UnitWeights("qk_norm_weight", "norms of queries and keys")),
    Adopted(ShiftNormWeights()),
    UnfoldAttentionScale(),
)
"""Every identity that is tried."""


def without_zero_biases(spec: ModelSpec, slots: Mapping[str, Mosaic]) -> tuple[Rewritten, ...]:
    """The model without every kind of bias that is zero wherever it occurs."""
    made: list[Rewritten] = []
    for turn in BIASES:
        now, there = (made[-1].spec, made[-1].slots) if made else (spec, slots)
        if after := turn.apply(now, there, wanted=False):
            made.append(after)
    return tuple(made)
