"""Positions that are computed, into a class that looks them up in a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.ir import Position
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ir.tables import sinusoids
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Table
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True, slots=True)
class WriteSinusoids:
    """The table of sines and cosines is written down, in float32 as the training code computes it."""

    solves: str = "position"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with a table. None for a model that computes no sinusoids."""
        if spec.position is not Position.SINUSOIDAL:
            return None
        after = replace(spec, position=Position.LEARNED)
        meta = Meta((spec.context, spec.d_model), DType.F32)
        table = Mosaic.of(Table(meta, sinusoids(spec.context, spec.d_model)))
        made = {**slots, "positions.weight": table}
        return Rewritten(
            id="sinusoids written down",
            why="this model computes its positions; their table is the same numbers",
            exactness=Exactness.BITWISE,
            spec=after,
            slots={name: made[name] for name in slots_of(after)},
            computed={"positions.weight": ()},
        )
