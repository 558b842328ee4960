"""Who may work on an output directory: one batch, or the parts of one batch that was split.

Every batch holds a lock of its own, `lock-1-of-1` or `lock-3-of-8`, that the system drops when it ends in any way.
The processes that do its work hold it as well, so that the next batch begins only when the last one of them is gone.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.output import explained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BRIEFLY = 10.0
"""Seconds to wait unless told otherwise: the last processes of a batch that was killed take a moment to go."""
_POLL = 0.2
"""Seconds between two looks at a lock that somebody else holds."""


@contextmanager
def held(state: Path, part: tuple[int, int], wait: float, waiting: Callable[[], None]) -> Iterator[int]:
    """Holds the lock of part `(i, n)` of a batch; gives its file descriptor, for other processes to hold on to.

    `state` is the directory in which the batch keeps its own things.

    Another batch that holds it, or a part of a batch that was split into another number, is waited for `wait` seconds,
    after `waiting` was told. Raises UsageError when it is still there then, OutputError where no lock can be made.
    """
    i, n = part
    deadline = time.monotonic() + wait
    told = False
    while True:
        with ExitStack() as stack:
            with explained(state):
                mine = _opened(state / f"lock-{i}-of-{n}", stack)
                blocker = _blocker(state, mine, f"lock-{i}-of-{n}", f"-of-{n}")
            if blocker is None:
                yield mine
                return
        if time.monotonic() >= deadline:
            raise UsageError(
                "another batch is working on this output directory",
                details=[f"it holds {blocker}"],
                where=str(state.parent),
                remedies=["--wait 1h   waits for it", "choose another -o"],
            )
        if not told:
            told = True
            waiting()
        time.sleep(_POLL)


def _blocker(state: Path, descriptor: int, mine: str, kin: str) -> str | None:
    """Takes our lock; the name of the one that stands in the way, if any does."""
    with ExitStack() as stack:
        door = _opened(state / "lock", stack)
        with suppress(OSError):  # held for a moment only
            fcntl.flock(door, fcntl.LOCK_EX)
        for path in sorted(state.glob("lock-*")):
            if path.name != mine and not path.name.endswith(kin):
                with ExitStack() as briefly:
                    if not _locked(_opened(path, briefly)):
                        return path.name
        return None if _locked(descriptor) else mine


def _opened(path: Path, stack: ExitStack) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    stack.callback(os.close, descriptor)
    return descriptor


def _locked(descriptor: int) -> bool:
    """Whether the lock could be taken. A file system that knows no locks lets everybody in."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True
