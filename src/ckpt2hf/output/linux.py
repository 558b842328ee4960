"""Three things Linux can do that Python has no word for. Elsewhere, and on file systems that cannot, both say so."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2
_UNABLE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM, errno.ESPIPE}


def exchange(one: Path, other: Path) -> bool:
    """Whether two paths could be given each other's content in one step, and were. Raises OSError.

    Source: Linux man-pages, renameat2(2): RENAME_EXCHANGE; EINVAL where the file system lacks it.
    """
    return _called("renameat2", _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)


def reserve(descriptor: int, nbytes: int) -> bool:
    """Whether the disk could set aside the blocks of a file of that size, and did. Raises OSError, as when it is full.

    Unlike `os.posix_fallocate` it is never imitated by writing to every block.
    Source: Linux man-pages, fallocate(2); EOPNOTSUPP where the file system lacks it.
    """
    return _called("fallocate", descriptor, 0, ctypes.c_int64(0), ctypes.c_int64(nbytes))


def send_on(descriptor: int) -> bool:
    """Whether the system could start writing back all of a file that is only in memory yet, without waiting for it.

    Unlike fsync it starts no transaction of the file system, so that other writes go on undisturbed. It promises
    nothing: a sync has to follow, and finds little left to do. Raises OSError.
    Source: Linux man-pages, sync_file_range(2): SYNC_FILE_RANGE_WRITE over a length of 0, which means to the end.
    """
    begin, to_end = ctypes.c_int64(0), ctypes.c_int64(0)
    return _called("sync_file_range", descriptor, begin, to_end, _SYNC_FILE_RANGE_WRITE)


def _called(function: str, *arguments: object) -> bool:
    """Whether the C library has the function and the system could do what it says."""
    library = None
    with contextlib.suppress(OSError, AttributeError):
        library = getattr(ctypes.CDLL(None, use_errno=True), function)
    if library is None:
        return False
    if library(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNABLE:
        return False
    raise OSError(number, os.strerror(number))
