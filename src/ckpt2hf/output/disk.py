"""What the disk says, in words a person can act on."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ckpt2hf.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another -o",
    errno.EDQUOT: "free some of your quota, or choose another -o",
    errno.EROFS: "choose another -o: this file system is read-only",
    errno.EACCES: "choose another -o, or ask for the right to write there",
    errno.EPERM: "choose another -o, or ask for the right to write there",
    errno.EIO: "look at the system log: the disk reports a fault",
    errno.EFBIG: "choose a smaller --max-shard-size, or raise the limit on file sizes (ulimit -f)",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter -o",
}


@contextmanager
def explained(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turns an OSError met while writing `path`, of `needed` bytes, into an OutputError that says what to do."""
    try:
        yield
    except OSError as error:
        details = [error.strerror or str(error)]
        if needed is not None:
            details.append(f"needed {spoken(needed)}{_available(path)}")
        remedy = _REMEDIES.get(error.errno or 0, "choose another -o")
        raise OutputError(f"cannot write {path.name}", details=details, where=str(path), remedies=[remedy]) from error


def require_space(directory: Path, needed: int, *remedies: str) -> None:
    """Refuses, before anything is written, what the file system cannot hold. Raises OutputError.

    `remedies` are for who cannot free some space.
    """
    with explained(directory):
        free = shutil.disk_usage(directory).free
    if needed > free:
        raise OutputError(
            "not enough space on the disk",
            details=[f"needed {spoken(needed)}, free {spoken(free)}"],
            where=str(directory),
            remedies=["free some space", *remedies],
        )


def write_at(descriptor: int, data: memoryview | bytes, offset: int) -> None:
    """All the bytes of `data` at a place of an open file, in as many calls as the system wants. Raises OSError."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        if not written:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rest, offset = rest[written:], offset + written


def spoken(nbytes: int) -> str:
    """A number of bytes such as `1,234 bytes` or `575.3 MB` (10**6 bytes)."""
    if nbytes < 10**6:
        return f"{nbytes:,} bytes"
    return f"{nbytes / 10**6:,.1f} MB"


def _available(path: Path) -> str:
    """How much is free where a file lies, as the end of a sentence; nothing if that cannot be told."""
    try:
        return f", free {spoken(shutil.disk_usage(path.parent).free)}"
    except OSError:
        return ""
