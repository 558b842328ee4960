"""An attention scale other than `head_dim**-0.5`: the ratio goes into q, weights and bias, or into its norm."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.ir import Factor, QkNorm
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Affine, Scaled
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec

_HALF = 0.5


@dataclass(frozen=True, slots=True)
class FoldAttentionScale:
    """`(r q)·k` scaled with `head_dim**-0.5` is `q·k` scaled with `r head_dim**-0.5`."""

    solves: str = "attention_scale"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with the usual scale; bitwise when the ratio is a power of two."""
        factor = spec.attention_scale.relative(head_dim=spec.head_dim, d_model=spec.d_model)
        normed = spec.qk_norm is not QkNorm.NONE
        if normed and not spec.qk_norm_weight:
            return None  # what normalises q undoes any factor of its rows
        from_one = normed and spec.norm_offset
        exact = abs(math.frexp(factor)[0]) == _HALF and not from_one
        touched = frozenset(name for name in slots if (".attn.q_norm." if normed else ".attn.q.") in name)

        def scaled(slot: Mosaic) -> Mosaic:  # r (1 + w) is 1 + (r w + r - 1)
            return Mosaic.of(Affine(slot, factor, factor - 1) if from_one else Scaled(slot, factor))

        after = {name: scaled(slot) if name in touched else slot for name, slot in slots.items()}
        return Rewritten(
            id="attention scale into q",
            why=f"scores are scaled with {spec.attention_scale}, {factor:g} times head_dim**-0.5",
            exactness=Exactness.BITWISE if exact else Exactness.ALGEBRAIC,
            spec=replace(spec, attention_scale=Factor("head_dim**-0.5")),
            slots=after,
            computed={} if exact else {name: (name,) for name in touched},
            undo={name: lambda part: Mosaic.of(Scaled(part, 1 / factor)) for name in touched} if exact else {},
            activations=frozenset() if exact else frozenset({"layers.{i}.attn"}),
        )
