"""Which planned jobs may begin: together they must fit into memory and onto the disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf import limits
from ckpt2hf.errors import OutputError
from ckpt2hf.run import too_large

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from ckpt2hf.run import Needs

_COPY = 48 << 20
"""Bytes that a copy of the process that has imported everything takes for itself, before it does anything."""
_SPARE = 0.95
"""The part of the memory that is given out: the kernel needs some, and so do we."""


@dataclass(frozen=True, slots=True)
class Room:
    """What there is for jobs."""

    memory: limits.Memory | None
    """Memory for all jobs together, the libraries they share included; None for no limit that we know of."""
    free: Callable[[], int] | None
    """Bytes free where the results go; None where that cannot be told."""

    def never(self, needs: Needs) -> Exception | None:
        """Why a job cannot begin even alone. A full disk is judged when it is the job's turn."""
        if self.memory is not None and _COPY + needs.memory + needs.libraries > self.memory.nbytes * _SPARE:
            return too_large(needs, self.memory)
        return None

    def missing(self, needs: Needs, others: Collection[Needs]) -> str | None:
        """What a job waits for while others work; None when it may begin."""
        if self.memory is not None:
            libraries = max([needs.libraries, *(other.libraries for other in others)])
            taken = libraries + sum(_COPY + other.memory for other in [needs, *others])
            if taken > self.memory.nbytes * _SPARE:
                return "memory"
        if self.free is not None and needs.disk + sum(other.disk for other in others) > self.free():
            return "disk space"
        return None

    def full(self, needs: Needs, out: Path) -> OutputError:
        """What to say when a job is alone and its result has no place."""
        free = self.free() if self.free else 0
        return OutputError(
            "not enough space on the disk",
            details=[f"needed {needs.disk:,} bytes, free {free:,} bytes"],
            where=str(out),
            remedies=["free some space, or choose another -o", "--formats safetensors   writes one file, not both"],
        )


def room(free: Callable[[], int], memory: int | None, *, elsewhere: bool = False) -> Room:
    """The room for results; `memory` is the user's own limit, the only one if jobs run `elsewhere`."""
    found = None if elsewhere else limits.memory()
    if memory is not None and (found is None or memory < found.nbytes):
        found = limits.Memory(memory, memory, "--memory")
    return Room(found, free)
