"""A way of writing that does something else as soon as a job has been let in: hangs, dies, takes all memory."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003 - read at run time, by dataclass

import numpy as np

from ckpt2hf.run import Writing

HOUR = 3600.0
GREED = 1 << 32
"""Bytes: far more than a small conversion is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strange(Writing):
    """Writes like any other, but asked for its number of threads it does a deed first."""

    deed: str = ""
    once: Path | None = None
    """If set, a file by which it knows that it has done so already."""

    @property
    def workers(self) -> int:
        if self.once is None or not self.once.exists():
            if self.once is not None:
                self.once.touch()
            _DEEDS[self.deed]()
        return 1


def _sleep() -> None:
    time.sleep(HOUR)


def _be_deaf() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(HOUR)


def _be_greedy() -> None:
    np.zeros(GREED, "u1")


def _be_slowly_greedy() -> None:
    kept = []
    for _ in range(GREED >> 24):
        kept.append(np.zeros(1 << 24, "u1"))  # noqa: PERF401 - one after the other
    assert not kept, "nothing stopped it"


def _be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _crash() -> None:
    ctypes.string_at(0)


def _exit() -> None:
    os._exit(3)


def _leave() -> None:
    sys.exit(4)


def _err() -> None:
    raise RuntimeError("nobody thought of this")


def _be_told() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(HOUR)


_DEEDS = {
    "": lambda: None,
    "sleep": _sleep,
    "be deaf": _be_deaf,
    "be greedy": _be_greedy,
    "be slowly greedy": _be_slowly_greedy,
    "be killed": _be_killed,
    "crash": _crash,
    "exit": _exit,
    "leave": _leave,
    "err": _err,
    "be told": _be_told,
}
