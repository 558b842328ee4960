"""A small file that is replaced as a whole: a reader sees the old one or the new one, a crash leaves one of them."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from ckpt2hf.output.disk import explained
from ckpt2hf.output.sync import sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_whole(path: Path, text: str, partial: Path) -> None:
    """Writes or replaces a file. Raises OutputError, and then the old one is still there.

    Until it is on the disk its text lies under the name `partial`, which the next attempt uses again; two processes
    that do so at the same time take turns.
    """
    with alone_in(partial.parent):
        replace_whole(path, text, partial)


def replace_whole(path: Path, text: str, partial: Path) -> None:
    """The same, for who holds the lock of the partial file's directory already. Raises OutputError."""
    with explained(path):
        # A file name that is no text holds what UTF-8 cannot say; JSON can, just so.
        with partial.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    sync(path.parent)


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Holds the lock of a directory, if its file system knows locks. Raises OutputError."""
    with explained(directory):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
