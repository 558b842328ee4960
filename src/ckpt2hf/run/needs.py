"""What a conversion will take of the machine, known once it is planned; and the refusal to begin what cannot end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf import limits
from ckpt2hf.errors import ResourceError
from ckpt2hf.verify import LIBRARIES, Level, memory_needed

if TYPE_CHECKING:
    from ckpt2hf.plan import Plan, Way
    from ckpt2hf.run.request import Writing

_HEADERS = 1024
"""Bytes a file takes besides its tensors, per tensor: names, offsets, alignment."""
_SIDE_FILES = 1 << 20
"""Bytes of configurations and the report, generously."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What one conversion takes."""

    memory: int
    """Bytes of memory beyond what the libraries hold, at most."""
    libraries: int
    """Bytes the libraries hold; processes that are copies of one share them."""
    disk: int
    """Bytes written below the output's parent directory."""


def needs(plan: Plan, writing: Writing) -> Needs:
    """What converting a plan takes."""
    return way_needs(plan, writing.level, len(writing.formats))


def way_needs(plan: Way, level: Level, copies: int = 1) -> Needs:
    """What a way takes whose tensors are written so many times."""
    files = copies * (plan.nbytes + _HEADERS * len(plan.tensors))
    return Needs(memory_needed(plan, level), LIBRARIES[level], files + _SIDE_FILES)


def require_memory(needed: Needs) -> None:
    """Refuse, before it begins, what the kernel would kill. Raises ResourceError."""
    room = limits.memory()
    if room is not None and needed.memory + needed.libraries > room.nbytes + limits.own_memory():
        raise too_large(needed, room)


def too_large(needed: Needs, room: limits.Memory) -> ResourceError:
    """What to say of a conversion that does not fit."""
    whole = _mib(needed.memory + needed.libraries)
    least = needed.libraries > LIBRARIES[Level.BYTES]
    remedies = [f"--verify {Level.BYTES.value}   proves the weights with little memory"] if least else []
    return ResourceError(
        f"this takes up to {whole} MiB of memory, and {room.why} has {_mib(room.nbytes)} MiB left",
        details=[f"{room.why} allows {_mib(room.limit)} MiB in all"],
        remedies=[*remedies, f"allow it {whole} MiB, as in `docker run --memory {whole}m`"],
    )


def _mib(nbytes: int) -> int:
    """Whole MiB, rounded up."""
    return -(-nbytes // (1 << 20))
