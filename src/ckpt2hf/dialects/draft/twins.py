"""Second names of the same numbers, in a block or outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.dialects.draft.parts import LeftOut
from ckpt2hf.ops import identical

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.parts import Kind
    from ckpt2hf.tensors import Array, Stored


def twins(kinds: Sequence[Kind], checkpoint: Checkpoint, words: Lexicon) -> tuple[LeftOut, ...]:
    """Kinds that hold the same numbers as one before them, which keeps its place."""
    found: list[LeftOut] = []
    for k, other in enumerate(kinds):
        taken = {left.kind.pattern for left in found}
        for one in kinds[:k]:
            if one.pattern not in taken and _same(one, other, checkpoint):
                first, second = (one, other) if one.variables else _embedding_first(one, other, words)
                found.append(LeftOut(second, first.pattern, f"the same numbers as {first.pattern}", tie=True))
                break
    return tuple(found)


def _same(one: Kind, other: Kind, checkpoint: Checkpoint) -> bool:
    """Whether two kinds are the same tensors: by storage; or, for matrices that are not all alike, by value."""
    if one.shape != other.shape or one.variables != other.variables or len(one.names) != len(other.names):
        return False
    for pair in zip(one.names, other.names, strict=True):
        a, b = (checkpoint.tensors[name] for name in pair)
        if a.meta != b.meta:
            return False
        if a.same_place(b):
            continue
        if len(one.shape) == 1 or not identical(a, b) or not np.ptp(_first_row(a)):
            return False
    return True


def _embedding_first(one: Kind, other: Kind, words: Lexicon) -> tuple[Kind, Kind]:
    """The one that is called an embedding before the one that is called an output layer."""

    def like(kind: Kind) -> float:
        return words.likeness(kind.suffix, "embed") - words.likeness(kind.suffix, "head")

    first, second = sorted((one, other), key=like, reverse=True)
    return first, second


def _first_row(ref: Stored) -> Array:
    """The numbers at the beginning of the first axis."""
    return ref.read((slice(0, 1), *(slice(0, n) for n in ref.meta.shape[1:])))
