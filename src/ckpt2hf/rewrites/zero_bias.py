"""Bias-free linears and LayerNorms, into a class that requires biases: a bias of zero adds nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import slots as slots_of
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Constant
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten
from ckpt2hf.tensors import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True, slots=True)
class ZeroBias:
    """Adds zero biases where `solves` says there are none."""

    solves: str
    what: str

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with explicit zeros, in the type of the weight beside each."""
        if getattr(spec, self.solves):
            return None
        change: dict[str, Any] = {self.solves: True}
        after = replace(spec, **change)
        complete = dict(slots)
        added = [name for name in slots_of(after) if name not in slots]
        for name in added:
            dtype = slots[name.removesuffix("bias") + "weight"].meta.dtype
            complete[name] = Mosaic.of(Constant(Meta(slots_of(after)[name], dtype)))
        return Rewritten(
            id=f"zero {self.what}",
            why=f"this model has no {self.what}; a bias of zero adds nothing",
            exactness=Exactness.BITWISE,
            spec=after,
            slots={name: complete[name] for name in slots_of(after)},
            computed=dict.fromkeys(added, ()),
        )
