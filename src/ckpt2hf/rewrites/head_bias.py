"""A head bias, into a class whose head has none: the final LayerNorm carries it. See `FoldedHead` for the algebra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.ir import Norm, NormPlacement
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ops import Mosaic, identical
from ckpt2hf.rewrites.leaves import Constant, FoldedHead, widest
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten
from ckpt2hf.tensors import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True, slots=True)
class FoldHeadBias:
    """Folds the head bias and the final norm's weight and bias into the head, and unties it."""

    solves: str = "head_bias"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with a bias-free head. None without a final norm that has a bias.

        A bias that is zero everywhere is just left out. It is the only tensor that planning reads: a vector.
        """
        bias = slots["head.bias"]
        rest = {name: part for name, part in slots.items() if name != "head.bias"}
        if identical(bias, zeros := Mosaic.of(Constant(bias.meta))):  # -0.0 is not zero here: its bits would be lost
            return Rewritten(
                id="zero head bias left out",
                why="every number of the head bias is zero",
                exactness=Exactness.BITWISE,
                spec=replace(spec, head_bias=False),
                slots=rest,
                left_out={"head.bias": zeros},
            )
        norm = _last_norm(spec)
        if norm is None:
            return None
        after = replace(spec, head_bias=False, tied=False)
        swallowed = (
            "embed.weight" if spec.tied else "head.weight",
            "head.bias",
            f"{norm}.weight",
            f"{norm}.bias",
        )
        head, _, gain, shift = (slots[name] for name in swallowed)
        dtype = widest(head, bias, gain, shift)
        ones = Mosaic.of(Constant(Meta((spec.d_model,), dtype), 1.0))
        folded = {
            "head.weight": Mosaic.of(FoldedHead(head, bias, gain, shift, dtype)),
            f"{norm}.weight": ones,
            f"{norm}.bias": ones,
        }
        complete = {**rest, **folded}
        untied = ", which unties it from the embedding" if spec.tied else ""
        return Rewritten(
            id="head bias into the final LayerNorm",
            why=f"this class has no head bias; the head swallows it and the last norm before it{untied}",
            exactness=Exactness.ALGEBRAIC,
            spec=after,
            slots={name: complete[name] for name in slots_of(after)},
            computed={name: swallowed if name == "head.weight" else () for name in folded},
            activations=frozenset({"final_norm", f"layers.{spec.layers - 1}"}),
        )


def _last_norm(spec: ModelSpec) -> str | None:
    """The LayerNorm whose output the head sees, if its weight and bias can be given away: nothing else sees it."""
    if spec.norm is not Norm.LAYERNORM or not spec.norm_bias or spec.norm_offset:
        return None
    if spec.final_norm:
        return "final_norm"
    return f"layers.{spec.layers - 1}.mlp_norm" if spec.norm_placement is NormPlacement.POST else None
