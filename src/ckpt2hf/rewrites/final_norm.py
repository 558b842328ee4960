"""A final norm after post-norm blocks, into a class that has none: it becomes the last norm of one more block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.ir import Mlp, Norm, NormPlacement
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Constant, Deviation, widest
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten
from ckpt2hf.tensors import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True, slots=True)
class FinalNormIntoBlock:
    """Appends a block whose attention and MLP are zero, and whose second norm is the final one.

    Its first norm cannot be left out: it multiplies with a constant K. Of a vector with variance v, the norm after it
    then divides by sqrt(v + eps (v + eps) / K^2) where the final norm divides by sqrt(v + eps): the same where
    K^2 = v + eps, and off by at most eps / 2 * |v + eps - K^2| / (v K^2) of the value elsewhere. K^2 is the variance
    that the last block's own norm gives on average, mean(weight^2) + var(bias), plus eps.
    """

    solves: str = "final_norm"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """Almost the same function without a final norm. None for blocks that do not end with a LayerNorm."""
        if not _ends_with_layernorm(spec) or not spec.final_norm:
            return None
        after = replace(spec, layers=spec.layers + 1, final_norm=False)
        at, last = f"layers.{spec.layers}", f"layers.{spec.layers - 1}"
        made = {
            name: Mosaic.of(Constant(Meta(shape, slots[name.replace(at, last, 1)].meta.dtype)))
            for name, shape in slots_of(after).items()
            if name.startswith(f"{at}.")
        }
        weight, bias = (slots[f"{last}.mlp_norm.{kind}"] for kind in ("weight", "bias"))
        level = Deviation(weight, bias, spec.norm_eps, widest(weight, bias))
        made[f"{at}.attn_norm.weight"] = Mosaic.of(level)
        for kind in ("weight", "bias"):
            made[f"{at}.mlp_norm.{kind}"] = slots[f"final_norm.{kind}"]
        roots = {
            f"{at}.attn_norm.weight": tuple(f"{last}.mlp_norm.{kind}" for kind in ("weight", "bias")),
            **{f"{at}.mlp_norm.{kind}": (f"final_norm.{kind}",) for kind in ("weight", "bias")},
        }
        complete = {**slots, **made}
        return Rewritten(
            id="final norm as a block of its own",
            why="this class has no norm after its last block; one more block, whose attention and MLP are zero, has "
            "it; its other norm is not quite undone by it",
            exactness=Exactness.NUMERICAL,
            spec=after,
            slots={name: complete[name] for name in slots_of(after)},
            computed={name: roots.get(name, ()) for name in made},
            activations=frozenset({"final_norm"}),
        )


def _ends_with_layernorm(spec: ModelSpec) -> bool:
    whole = spec.norm is Norm.LAYERNORM and spec.norm_weight and spec.norm_bias and not spec.norm_offset
    return whole and spec.norm_placement is NormPlacement.POST and spec.mlp is Mlp.PLAIN
