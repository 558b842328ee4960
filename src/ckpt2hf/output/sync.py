"""Bytes onto the disk itself, so that a power cut after the rename finds complete files under the name."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.output.disk import explained
from ckpt2hf.output.linux import send_on
from ckpt2hf.threads import in_threads, without_signals

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
    in_threads([partial(sync, file) for file in files], 2)
    for directory in directories:
        sync(directory)


@contextmanager
def written_back(growing: Callable[[], Iterable[Path]]) -> Iterator[None]:
    """While the body runs, what it has written so far is sent on to the disk, so that little is left to sync after it.

    `growing` gives the files to send, at any moment. A fault of the disk is not lost: the sync that follows reports it.
    """
    done = threading.Event()

    def run() -> None:
        # Only speed is lost where this fails: the sync that follows does it all.
        with suppress(OSError):
            while not done.wait(_PAUSE):
                for path in growing():
                    _send_on(path)

    thread = threading.Thread(target=run, name="write-back")
    with without_signals():
        thread.start()
    try:
        yield
    finally:
        with without_signals():
            done.set()
            thread.join()


def _send_on(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        send_on(descriptor)
    finally:
        os.close(descriptor)
