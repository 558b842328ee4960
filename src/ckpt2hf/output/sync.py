"""Bytes onto the disk itself, so that a power cut after the rename finds complete files under the name."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import OutputError
from ckpt2hf.output.disk import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_UNABLE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP}
"""What file systems answer that cannot sync a directory."""
_PAUSE = 0.03
"""Seconds between two rounds of writing back: small beside the writing of a large file."""


def sync(path: Path) -> None:
    """One file or directory. Raises OutputError."""
    with explained(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _UNABLE or not path.is_dir():
                raise
        finally:
            os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Every file under a directory, then every directory, the innermost first. Raises OutputError."""
    files, directories = [], []
    for folder, _, names in os.walk(root, topdown=False):
        directories.append(Path(folder))
        files += [Path(folder, name) for name in names]
    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(sync, files))
    for directory in directories:
        sync(directory)


@contextmanager
def written_back(growing: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """While the body runs, what it has written so far is sent on to the disk, so that little is left to sync after it.

    `growing` gives the files to send, at any moment. Raises OutputError at the end: the system reports a fault of the
    disk once, to whoever syncs first.
    """
    done = threading.Event()
    faults: list[OutputError] = []

    def run() -> None:
        try:
            while not done.wait(_PAUSE):
                for path in growing():
                    sync(path)
        except OutputError as error:
            faults.append(error)

    thread = threading.Thread(target=run, name="write-back")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if faults:
        raise faults[0]
