"""Other functions close by, for formats that have no better one: what they cost is measured, never assumed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.ir import Activation, Norm, NormPlacement, Position
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Scaled
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec

STRETCH = 256
"""A power of two, so that no number is rounded. Larger ones come closer, until float16 overflows."""


@dataclass(frozen=True, slots=True)
class TanhForErf:
    """The tanh form of GELU for the erf form: they differ by 5e-4 at most."""

    solves: str = "activation"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The model with the other form; None for another activation."""
        if spec.activation is not Activation.GELU:
            return None
        return Rewritten(
            id="the tanh form of GELU",
            why="the model has the erf form, which differs from it by 5e-4 at most",
            exactness=Exactness.APPROXIMATE,
            spec=replace(spec, activation=Activation.GELU_TANH),
            slots=slots,
        )


@dataclass(frozen=True, slots=True)
class GeluForRelu:
    """gelu(s x) / s comes close to relu(x), by 0.17 / s.

    The MLP's input is stretched by s, and with it the whole residual stream, to which LayerNorm is blind: so the matrix
    that leaves the MLP keeps its size, which a quantizer would not forgive. The last norm takes it back.
    """

    solves: str = "activation"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The stretched model; None for one that is not built like GPT-2, or has another activation."""
        alike = (
            spec.activation is Activation.RELU
            and spec.norm is Norm.LAYERNORM
            and spec.norm_placement is NormPlacement.PRE
            and spec.position is Position.LEARNED
            and spec.final_norm
            and spec.norm_weight
            and not spec.embed_norm
            and not spec.experts
        )
        if not alike:
            return None
        factors = {name: factor for name in slots if (factor := _factor(name, tied=spec.tied)) != 1}
        return Rewritten(
            id=f"ReLU as GELU of {STRETCH} times its input",
            why=f"gelu({STRETCH} x) / {STRETCH} differs from relu(x) by {0.17 / STRETCH:.1g} at most",
            exactness=Exactness.APPROXIMATE,
            spec=replace(spec, activation=Activation.GELU_TANH, norm_eps=spec.norm_eps * STRETCH**2),
            slots={
                name: Mosaic.of(Scaled(part, factors[name])) if name in factors else part
                for name, part in slots.items()
            },
        )


def _factor(name: str, *, tied: bool) -> float:
    """What a slot is multiplied with."""
    kind = name.rpartition(".")[0].rpartition(".")
    if name in {"embed.weight", "positions.weight"} or name.endswith((".attn.out.weight", ".attn.out.bias")):
        return STRETCH
    if kind[2] == "up" or name.endswith(".mlp.down.bias"):
        return STRETCH
    # The head is the stretched embedding where they are one.
    return 1 / STRETCH if tied and kind[2] == "final_norm" else 1


APPROXIMATE = (TanhForErf(), GeluForRelu())
"""All of them."""
