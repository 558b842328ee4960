"""Constant factors of embeddings, positions and logits, into classes that have none: the tables swallow them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.ir import Factor
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Scaled
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec

_HALF = 0.5
_BIASES = {"head.weight": ("head.bias",)}


@dataclass(frozen=True, slots=True)
class FoldFactor:
    """A table multiplied with a factor once, instead of each row when it is used."""

    solves: str
    """`embed_scale`, `position_scale` or `logit_scale`."""
    slot: str
    what: str

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with a factor of one; bitwise when the factor is a power of two.

        A tied head keeps the numbers that the embedding had, or the other way round, which unties it.
        """
        if getattr(spec, self.solves).is_one:
            return None
        factor = getattr(spec, self.solves).value(head_dim=spec.head_dim, d_model=spec.d_model)
        if self.solves != "logit_scale":
            factor = float(np.float32(factor))  # as torch rounds it where the model multiplies
        unties = spec.tied and self.slot != "positions.weight"
        before = {**slots, "head.weight": slots["embed.weight"]} if unties else slots
        exact = abs(math.frexp(factor)[0]) == _HALF and not unties
        touched = [name for name in (self.slot, *_BIASES.get(self.slot, ())) if name in before]
        if not touched:
            return None  # a table that is computed: it is written down first
        made = {name: Mosaic.of(Scaled(before[name], factor)) for name in touched}
        origins = {"head.weight": ("embed.weight",)} if unties else {}
        change: dict[str, Any] = {self.solves: Factor("1"), **({"tied": False} if unties else {})}
        untied = ", which unties the head from the embedding" if unties else ""
        return Rewritten(
            id=f"{self.what} into the table",
            why=f"{self.what} is {getattr(spec, self.solves)}; the table swallows it{untied}",
            exactness=Exactness.BITWISE if exact else Exactness.ALGEBRAIC,
            spec=replace(spec, **change),
            slots={**before, **made},
            computed={} if exact else {name: origins.get(name, (name,)) for name in (*touched, *origins)},
            undo={name: lambda part: Mosaic.of(Scaled(part, 1 / factor)) for name in touched} if exact else {},
            activations=frozenset() if exact else frozenset({"embed"}),
        )
