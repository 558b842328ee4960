"""The directory in which a result is made before it has its name: `<out>.partial-<random>`, locked by its maker.

The lock is one the system drops when the process ends, however it ends. So a partial directory that can be locked
belongs to a run that was killed, and the next run for the same `<out>` deletes it.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK = ".partial-"
_ATTEMPTS, _PAUSE = 40, 0.05
"""How often a directory is deleted, and how many seconds lie between."""
_RANDOM = re.compile(re.escape(_MARK) + "[0-9a-f]{8}$")


@contextmanager
def locked_partial(out: Path) -> Iterator[Path]:
    """A new, empty, locked directory beside `out`; whatever has its name at the end is deleted. Raises OSError."""
    while True:
        path = out.with_name(f"{out.name}{_MARK}{secrets.token_hex(4)}")
        with ExitStack() as stack:
            stack.callback(_remove, path)  # from before it is there: a signal may come now
            try:
                path.mkdir()
            except FileExistsError:
                stack.pop_all()  # it is somebody else's
                continue
            if _locked(path, stack):
                yield path
                return


def _remove(path: Path) -> None:
    """Deletes the directory, again if need be: a thread that a signal cut off from us may make a last file in it."""
    for _ in range(_ATTEMPTS):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(_PAUSE)


def remove_stale(out: Path) -> None:
    """Deletes what killed runs for `out` have left on this machine. What cannot be locked or deleted stays."""
    if is_remote(out):
        return  # an upload looks after that itself
    for path in out.parent.iterdir():
        if path.name.startswith(f"{out.name}{_MARK}"):
            _remove_if_stale(path)


def is_partial(name: str) -> bool:
    """Whether a name is one of a directory in which a result is made."""
    return _RANDOM.search(name) is not None


def remove_all_stale(directory: Path) -> None:
    """Deletes what killed runs have left in a directory, whatever they were for. Raises OSError if it is not there."""
    for path in directory.iterdir():
        if is_partial(path.name):
            _remove_if_stale(path)


def _remove_if_stale(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path)
        finally:
            os.close(descriptor)


def _locked(path: Path, stack: ExitStack) -> bool:
    """Whether the directory is locked until the stack unwinds, and ours.

    Another run may take it for a stale one before it is locked; then it is gone. A file system that knows no locks lets
    nobody take anything for stale, so there the lock is not missed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    stack.callback(os.close, descriptor)
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return path.exists()
