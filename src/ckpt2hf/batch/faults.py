"""Which errors are facts about a checkpoint, which could go otherwise another time, and which soon."""

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

from ckpt2hf.batch.events import Raised
from ckpt2hf.errors import (
    BrokenPromiseError,
    Ckpt2hfError,
    OutputError,
    ResourceError,
    UnreachableError,
    VerificationError,
)
from ckpt2hf.report import ReasonReport, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSING = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOLCK,
        errno.ENOMEM,
        errno.EPIPE,
        errno.ESTALE,
        errno.ETIMEDOUT,
        errno.EDEADLK,
    }
)
"""What an operating system or a network says in a bad moment. A full or a read-only disk is not among them."""
_REPORT = "report this, with the command and the text above"
_SURROUNDINGS = (OutputError, ResourceError, UnreachableError, VerificationError, BrokenPromiseError)
"""Errors about what is around a checkpoint, or about us, rather than about the checkpoint."""


def judged(error: BaseException) -> Raised:
    """What an error that ended a conversion means for the batch."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        what = "the conversion needed more memory than was planned for it"
        remedies = ("--workers 1   leaves each checkpoint more", "--verify bytes   needs the least")
        return Raised(ReasonReport("resources", what, remedies=remedies), lasting=False, passing=False)
    passing = isinstance(error, UnreachableError) or any(number in _PASSING for number in _numbers(error))
    if isinstance(error, Ckpt2hfError):
        return Raised(reason_of(error), lasting=not passing and not isinstance(error, _SURROUNDINGS), passing=passing)
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    what = "ckpt2hf failed in a way it should not have"
    bug = ReasonReport(BrokenPromiseError.code, what, tuple(lines), remedies=(_REPORT,))
    return Raised(bug, lasting=False, passing=passing)


def _numbers(error: BaseException | None) -> Iterator[int]:
    """The system's numbers for what happened, along the chain of causes."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno is not None:
            yield error.errno
        error = error.__cause__ or error.__context__
