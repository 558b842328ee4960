"""What discovery asks of a file system, and nothing else does: what is in a directory, how large, which file it is."""

from __future__ import annotations

import enum
import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from pathlib import Path

_REMOTE = -1
"""No device has this number."""
Identity: TypeAlias = tuple[int, int]
"""Device and number: the same for all names of one file."""


class Kind(enum.Enum):
    """What a name in a directory stands for, links followed."""

    FILE = enum.auto()
    FOLDER = enum.auto()
    NOWHERE = enum.auto()
    """A link to what is not there, or to itself."""
    OTHER = enum.auto()
    """A pipe, a socket, a device."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in a directory."""

    name: str
    kind: Kind
    link: bool


@dataclass(frozen=True, slots=True)
class Status:
    """A file or directory, links followed."""

    kind: Kind
    nbytes: int
    identity: Identity


def listing(folder: Path) -> list[Entry]:
    """What is in a directory, in any order. Raises OSError; NotFoundError, UnreachableError for a URL."""
    if is_remote(folder):
        return [Entry(path.name, Kind.FOLDER if path.is_dir() else Kind.FILE, link=False) for path in folder.iterdir()]
    with os.scandir(folder) as entries:
        return [Entry(entry.name, _kind(entry), entry.is_symlink()) for entry in entries]


def status(path: Path) -> Status:
    """What a path leads to. Raises OSError, ValueError for what is no path at all."""
    if is_remote(path):
        if not path.exists():
            raise FileNotFoundError(str(path))
        digest = hashlib.sha256(path.url.encode()).digest()
        kind = Kind.FOLDER if path.is_dir() else Kind.FILE
        return Status(kind, path.entry.nbytes, (_REMOTE, int.from_bytes(digest[:8], "big")))
    found = path.stat()
    kind = Kind.FILE if stat.S_ISREG(found.st_mode) else Kind.FOLDER if stat.S_ISDIR(found.st_mode) else Kind.OTHER
    return Status(kind, found.st_size, (found.st_dev, found.st_ino))


def identity_of(path: Path) -> Identity | None:
    """Which file or directory a path leads to; None if that cannot be found out."""
    try:
        return status(path).identity
    except (OSError, ValueError):
        return None


def size_of(path: Path) -> int:
    """Bytes of a file; 0 for one that went away or may not be looked at, which is said when it is opened."""
    try:
        return status(path).nbytes
    except (OSError, ValueError):
        return 0


def is_within(path: Path, folder: Path) -> bool:
    """Whether a path is a directory or lies in it, links followed; neither has to be there."""
    if is_remote(path) != is_remote(folder):
        return False
    return path.resolve().is_relative_to(folder.resolve())


def _kind(entry: os.DirEntry[str]) -> Kind:
    try:
        if entry.is_file():
            return Kind.FILE
        if entry.is_dir():
            return Kind.FOLDER
    except OSError:
        return Kind.NOWHERE
    return Kind.NOWHERE if entry.is_symlink() and not os.path.exists(entry.path) else Kind.OTHER  # noqa: PTH110
