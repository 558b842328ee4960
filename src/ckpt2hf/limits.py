"""What this machine, or the container around us, lets a process use: memory and processors.

Source: Linux Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.high, cpu.max) and cgroup-v1/memory.rst
(memory.limit_in_bytes), proc(5) (/proc/self/cgroup, /proc/meminfo, /proc/self/status).
"""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path("/")


@dataclass(frozen=True, slots=True)
class Memory:
    """How much memory there is for us, and who says so."""

    nbytes: int
    """Bytes of memory that cannot be reclaimed which this process and its children may still take."""
    limit: int
    """Bytes of the limit itself."""
    why: str
    """`the container` or `the machine`."""


def memory(root: Path = _ROOT) -> Memory | None:
    """What may still be taken: the smallest room any limit leaves. None where the system says nothing."""
    found = list(_rooms(root))
    return min(found, key=lambda room: room.nbytes) if found else None


def processors(root: Path = _ROOT) -> int:
    """Processors this process may use: those it may run on, and no more than the container's share of time."""
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for quota in _quotas(root) if quota > 0]
    return max(1, min(allowed, *(int(quota + 0.5) for quota in quotas))) if quotas else allowed


def own_memory(root: Path = _ROOT) -> int:
    """Bytes of memory that this process holds and that cannot be reclaimed."""
    return _table(root / "proc/self/status").get("RssAnon", 0) * 1024


def peak_memory(root: Path = _ROOT) -> int:
    """The most bytes that this process has held resident, mapped files included."""
    # What getrusage says of a process that was started by a larger one begins with that one's.
    found = _table(root / "proc/self/status").get("VmHWM")
    return (found or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


def _rooms(root: Path) -> Iterator[Memory]:
    for folder, limit_name, usage in _memory_groups(root):
        limit = _number(folder / limit_name)
        if limit is not None and limit < 1 << 60:  # v1 says "no limit" with a number close to 2**63
            yield Memory(max(limit - usage, 0), limit, "the container")
    table = _table(root / "proc/meminfo")
    if "MemAvailable" in table:
        yield Memory(table["MemAvailable"] * 1024, table.get("MemTotal", 0) * 1024, "the machine")


def _memory_groups(root: Path) -> Iterator[tuple[Path, str, int]]:
    """Every control group with a say in our memory: folder, name of the limit, bytes that cannot be reclaimed."""
    for folder in _folders(root):
        for name in ("memory.max", "memory.high"):
            yield folder, name, _unreclaimable(folder, ("anon", "unevictable", "kernel_stack", "slab_unreclaimable"))
    for folder in _folders(root, "memory"):
        yield folder, "memory.limit_in_bytes", _unreclaimable(folder, ("total_rss", "total_unevictable"))


def _unreclaimable(folder: Path, fields: tuple[str, ...]) -> int:
    """Bytes in use that stay in use: mapped files and caches make way when memory gets short."""
    table = _table(folder / "memory.stat")
    return sum(table.get(name, 0) for name in fields)


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that each control group may use."""
    for folder in _folders(root):
        words = _text(folder / "cpu.max").split()
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):  # noqa: PLR2004 - and period
            yield int(words[0]) / int(words[1])
    for folder in _folders(root, "cpu"):
        quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota and quota > 0 and period:
            yield quota / period


def _folders(root: Path, controller: str | None = None) -> Iterator[Path]:
    """Our control group of a controller (None: version 2) and all above it.

    A version 1 controller is mounted under its own name or with those it shares a hierarchy with; version 2 is mounted
    alone, or in `unified` beside version 1.
    Inside a container the path in /proc may be the host's, which is not there; then the mount itself is our group.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        mine = number == "0" and not controllers if controller is None else controller in controllers.split(",")
        top = root / "sys/fs/cgroup"
        mounts = (top, top / "unified") if controller is None else (top / controller, top / controllers)
        for mount in dict.fromkeys(mounts) if mine else ():
            here = mount / path.lstrip("/")
            while here != mount and here.is_relative_to(mount):
                yield here
                here = here.parent
            yield mount


def _table(path: Path) -> dict[str, int]:
    """The numbers of a file of `name: value` or `name value` lines."""
    rows = (line.replace(":", " ").split() for line in _text(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else None


def _text(path: Path) -> str:
    """A file's text; nothing where there is no such file or no right to read it."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
