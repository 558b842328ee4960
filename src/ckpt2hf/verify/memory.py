"""How much memory a proof takes, known before anything is read.

The numbers were found by watching proofs of models from 0.5 to 134 million parameters, in float32 and rounded; a test
holds them against what a proof really takes. Mapped files do not count: they make way when memory gets short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.tensors import DType, TensorRef
from ckpt2hf.verify.effort import SHARP, last, short
from ckpt2hf.verify.levels import Level

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt2hf.ops import Mosaic
    from ckpt2hf.plan import Way
    from ckpt2hf.tensors import Meta

MIB = 1 << 20
LIBRARIES: Mapping[Level, int] = {Level.STRUCTURE: 40 * MIB, Level.BYTES: 40 * MIB, Level.LOGITS: 320 * MIB}
"""What a process holds once it has imported all that a level needs."""
_BLOCKS = 20 * MIB
"""What writing and comparing hold on to: a few blocks for each of up to four threads."""
_FLOAT32, _FLOAT64 = 4, 8
_LOGITS_AT_ONCE = 3
"""Arrays of float32 logits alive at the same time, those of the comparison included."""
_SCORES_AT_ONCE = 3
"""Arrays of the attention's scores, a square of all tokens for each head, alive at the same time; and one mask."""
_SMALL_THINGS = 40 * MIB
"""What a proof holds whatever the model."""
_SLACK = 1.1


def memory_needed(plan: Way, level: Level) -> int:
    """Bytes that proving a conversion on a level takes at most, beyond what its libraries hold."""
    if level is not Level.LOGITS:
        return _BLOCKS
    metas = [tensor.meta for tensor in plan.tensors.values()]
    loaded = 0 if all(meta.dtype is DType.F32 for meta in metas) else _size(metas, _FLOAT32)
    weights = copied(plan.slots.values())
    if plan.rounds:
        rounded = _size((slot.meta for slot in plan.final_slots.values()), _FLOAT32)
        before = weights + (copied(plan.final_slots.values()) if plan.rewrites else 0)
        models = rounded + max(loaded, before)
    else:
        models = weights + loaded
    widest = max((meta.size for meta in metas), default=0) * _FLOAT64
    tokens = 2 * short(plan.spec) + last(plan.spec) + SHARP
    logits = tokens * plan.spec.vocab * _FLOAT32 * _LOGITS_AT_ONCE
    attention = last(plan.spec) ** 2 * (_SCORES_AT_ONCE * plan.spec.heads + 1) * _FLOAT32
    return _SMALL_THINGS + int((models + widest + logits + attention) * _SLACK)


def copied(slots: Iterable[Mosaic]) -> int:
    """Bytes of the slots that cannot be used where they lie in the file: joined, computed, or of another type."""
    return _size((slot.meta for slot in slots if not _in_place(slot)), _FLOAT32)


def _in_place(slot: Mosaic) -> bool:
    return slot.meta.dtype is DType.F32 and len(slot.pieces) == 1 and isinstance(slot.pieces[0].leaf, TensorRef)


def _size(metas: Iterable[Meta], itemsize: int) -> int:
    return sum(meta.size for meta in metas) * itemsize
