"""The memory that the processes of stages take, and how many of them fit beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf import limits
from ckpt2hf.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.stages.stage import Stage

_FLOAT32 = 4
_LOGITS = 6
"""Arrays of the logits that are computed at a time, alive together."""
_SPARE = 0.95
"""The part of the memory that is given out: the kernel needs some, and so do we."""
_WRITTEN, _LEAST = {32: 4, 16: 2}, 0.5
"""Bytes of a weight, by its bits; half a one where it is quantized."""
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Size:
    """What of a model decides how much memory its forms take."""

    weights: int
    """Numbers in it, those of a tied head counted twice: quantizers need it by itself."""
    distinct: int
    """The same, a tied head counted once."""
    logits: int
    """Elements of the logits that are computed at a time."""

    def written(self, stage: Stage) -> int:
        """Bytes that its file has at least."""
        return int(self.distinct * _WRITTEN.get(stage.bits, _LEAST))

    def needed(self, stage: Stage) -> int:
        """Bytes that a stage's process takes."""
        about, logits = stage.memory, _LOGITS * _FLOAT32 * self.logits
        return about.libraries + int(about.copies * _FLOAT32 * self.weights) + logits


def side_by_side(stages: Sequence[Stage], size: Size, processors: int) -> int:
    """How many of these may run at the same time; one at least, as `require_room` has seen to."""
    room = limits.memory()
    needed = sorted((size.needed(stage) for stage in stages), reverse=True)
    for count in range(min(processors, len(stages)), 1, -1):
        if room is None or sum(needed[:count]) <= room.nbytes * _SPARE:
            return count
    return 1


def require_room(stages: Sequence[Stage], size: Size, beside: int = 0) -> None:
    """Refuse, before anything is begun, what the kernel would kill. Raises ResourceError.

    `beside` are bytes that this process will hold by then and does not hold yet.
    """
    room = limits.memory()
    if room is None:
        return
    fitting = [stage for stage in stages if size.needed(stage) <= (room.nbytes - beside) * _SPARE]
    if len(fitting) == len(stages):
        return
    largest = max(stages, key=size.needed)
    whole = -(-int(size.needed(largest) / _SPARE + beside + limits.own_memory()) // _MIB)
    enough = [f"enough for {', '.join(stage.id for stage in fitting)}"] if fitting else []
    raise ResourceError(
        f"{largest.id} takes up to {whole} MiB of memory, and {room.why} has {room.nbytes // _MIB} MiB left",
        details=[f"{room.why} allows {room.limit // _MIB} MiB in all", *enough],
        remedies=[f"allow it {whole} MiB, as in `docker run --memory {whole}m`"],
    )
