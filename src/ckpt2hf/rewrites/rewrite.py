"""What a rewrite is: an identity that trades a feature a target cannot express for one it can."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.ops import Mosaic


class Exactness(enum.Enum):
    """How equal the result is. The order is from strict to loose."""

    BITWISE = "bitwise"
    """Only rearrangement: the mapping run backwards returns every source byte."""
    ALGEBRAIC = "algebraic"
    """Equal in real arithmetic; each touched number was rounded once."""
    NUMERICAL = "numerically equal"
    """Not equal in real arithmetic, but closer than anybody can see; only where the user allows it."""
    APPROXIMATE = "approximate"
    """Another function, close by; never for a Hugging Face directory, only for a form whose price is measured."""
    ROUNDED = "rounded"
    """The user asked for another number type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """What a rewrite made of a model."""

    id: str
    why: str
    exactness: Exactness
    spec: ModelSpec
    slots: Mapping[str, Mosaic]
    """Every slot of the new spec."""
    computed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Slots that cannot be turned back, each with the old slots it was made of; proved by computing them again."""
    undo: Mapping[str, Callable[[Mosaic], Mosaic]] = field(default_factory=dict)
    """Slots whose old numbers a function of the new ones restores bit for bit; all others are untouched."""
    left_out: Mapping[str, Mosaic] = field(default_factory=dict)
    """Slots of the old spec that the new one lacks, and what they are known to be."""
    activations: frozenset[str] = frozenset()
    """Names of intermediate results of a forward pass that legitimately differ from the original's."""

    def restored(self, given: Mapping[str, Mosaic]) -> dict[str, Mosaic]:
        """The slots of the old spec that these slots of the new one determine bit for bit."""
        kept = {
            name: self.undo[name](part) if name in self.undo else part
            for name, part in given.items()
            if name not in self.computed
        }
        return {**kept, **self.left_out}


class Rewrite(Protocol):
    """An identity."""

    @property
    def solves(self) -> str:
        """The field of the spec it changes into what a target wants."""
        ...

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The rewritten model, or None when this model does not satisfy the identity's conditions."""
        ...
