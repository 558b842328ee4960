"""What identifies a file's content, and what shows cheaply that it changed meanwhile."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size, time of the last change and identity of a file: two unequal stamps mean the file was touched."""

    nbytes: int
    mtime_ns: int
    inode: int


def stamp(path: Path) -> Stamp:
    """The stamp of a file as it is now. Raises NotFoundError."""
    try:
        status = path.stat()
    except OSError as error:
        raise NotFoundError(f"cannot open {path}", details=[str(error)], where=str(path)) from error
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file in hex; `progress` is called with the bytes of each chunk. Raises NotFoundError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
                if progress is not None:
                    progress(len(chunk))
    except OSError as error:
        raise NotFoundError(f"cannot read {path}", details=[str(error)], where=str(path)) from error
    return digest.hexdigest()
