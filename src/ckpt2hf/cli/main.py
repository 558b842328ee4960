"""The entry point: runs a command and turns whatever it raises into one clear message and an exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.cli.commands import app
from ckpt2hf.cli.console import show_error
from ckpt2hf.errors import BrokenPromiseError, Ckpt2hfError
from ckpt2hf.remote import shown

if TYPE_CHECKING:
    from types import FrameType


_SIGNALS = 128
"""Exit codes above it tell of a signal."""


class _Stopped(BaseException):
    """SIGINT or SIGTERM, raised where the program is, so that unfinished work is removed on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


def main() -> NoReturn:
    """Run the command line and exit: 0 proved, 1 failed, 2 usage, 70 a bug of ours, 128+n ended by signal n."""
    _be_a_good_neighbour()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    code = 0
    try:
        app(standalone_mode=True)
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else int(exit_.code is not None)
    except Ckpt2hfError as error:
        show_error(error, [shown(word) for word in sys.argv[1:]])
        code = error.exit_code
    except _Stopped as stopped:
        print("\nckpt2hf: stopped; nothing was left half-written", file=sys.stderr)  # noqa: T201
        code = stopped.exit_code
    except Exception as error:  # noqa: BLE001 - the edge of the process
        show_error(_bug(error))
        code = BrokenPromiseError.exit_code
    if code > _SIGNALS:
        _leave_at_once(code)
    gc.freeze()  # or the interpreter looks through every object once more before it goes
    sys.exit(code)


def _be_a_good_neighbour() -> None:
    """Settings of libraries that are not loaded yet; what the user has set stays."""
    # OpenMP threads that spin while they wait make a busy machine two to three times slower; asleep they cost nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    # NumPy multiplies no matrices here, so the threads of its BLAS would only be started and spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A process of seconds makes many objects and few cycles: a twentieth of its time went into looking for them.
    gc.set_threshold(50_000)


def _leave_at_once(code: int) -> NoReturn:
    """End the process without waiting for threads: the signal may have cut one off while it held a lock."""
    gc.collect()  # a directory that was being entered when the signal came is left only now, and deleted
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # closed, or nobody reads it
            stream.flush()
    os._exit(code)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Stopped(number)


def _bug(error: Exception) -> BrokenPromiseError:
    lines = traceback.format_exception(error)
    return BrokenPromiseError(
        "ckpt2hf failed in a way it should not have",
        details="".join(lines).rstrip().splitlines(),
        remedies=["report this, with the command and the text above"],
    )
