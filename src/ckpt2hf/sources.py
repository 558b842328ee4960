"""The files of a checkpoint during a run: their SHA-256, computed beside all other work, and whether they change.

This module imports nothing that takes time, so that the command line can start hashing before it loads the rest.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING

from ckpt2hf.errors import CheckpointError, NotFoundError
from ckpt2hf.remote import is_remote
from ckpt2hf.threads import without_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from ckpt2hf.remote.store import Entry

CHUNK = 1 << 26
"""Bytes hashed at a time: so many that the thread seldom has to wait for its turn in the interpreter."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size, time of the last change and identity of a file: two unequal stamps mean the file was touched."""

    nbytes: int
    mtime_ns: int
    inode: int
    etag: str | None = None
    """What the store of a remote file calls this version of it."""


def stamp(path: Path) -> Stamp:
    """The stamp of a file as it is now. Raises NotFoundError, UnreachableError."""
    if is_remote(path):
        entry = path.look_again()
        if entry is None:
            raise NotFoundError(f"there is no {path} any more", where=str(path))
        return _stamp_of(entry)
    try:
        status = path.stat()
    except OSError as error:
        raise NotFoundError(f"cannot open {path}", details=[str(error)], where=str(path)) from error
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def _stamp_of(entry: Entry) -> Stamp:
    return Stamp(entry.nbytes, entry.mtime_ns, 0, entry.etag)


def sha256_of(path: Path, progress: Callable[[int], None] | None = None) -> str:
    """The SHA-256 of a file in hex; `progress` is called with the bytes of each chunk. Raises NotFoundError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b"")
    except (OSError, ValueError) as error:
        raise NotFoundError(f"cannot read {path}", details=[str(error)], where=str(path)) from error
    for start in range(0, len(view), CHUNK):
        chunk = view[start : start + CHUNK]
        digest.update(chunk)
        if progress is not None:
            progress(len(chunk))
    return digest.hexdigest()


class _StoppedError(Exception):
    """Nobody waits for the digest any more."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Files that are stamped when they are first named, and hashed by a thread of their own.

    A remote file is not hashed, because that would fetch all of it: the store's own word for its version stands in.
    """

    pool: ThreadPoolExecutor
    stop: Event
    stamps: dict[Path, Stamp] = field(default_factory=dict)
    digests: dict[Path, Future[str]] = field(default_factory=dict)

    def watch(self, files: Iterable[Path]) -> None:
        """Stamp these files, and begin to hash the local ones, unless that was done before. Raises NotFoundError."""
        for path in files:
            if path not in self.stamps:
                # Of a remote file, the one that was there when its first byte was read.
                self.stamps[path] = _stamp_of(path.entry) if is_remote(path) else stamp(path)
                if not is_remote(path):
                    with without_signals():  # the first job starts the thread
                        self.digests[path] = self.pool.submit(sha256_of, path, self._go_on)

    def _go_on(self, _nbytes: int) -> None:
        if self.stop.is_set():
            raise _StoppedError

    def sha256(self) -> Mapping[Path, str]:
        """The digest of every local file; waits for the ones not done."""
        return {path: digest.result() for path, digest in self.digests.items()}

    def etags(self) -> Mapping[Path, str]:
        """What the stores of remote files call the versions that were read, where they have words for them."""
        return {path: seen.etag for path, seen in self.stamps.items() if seen.etag}

    def require_unchanged(self) -> None:
        """Refuse to go on if a file was touched since it was first named. Raises CheckpointError."""
        changed = [str(path) for path, before in self.stamps.items() if stamp(path) != before]
        if changed:
            raise CheckpointError(
                "the checkpoint changed while it was being read",
                details=changed,
                remedies=["wait until training has saved"],
            )


@contextmanager
def watched(source: Path, threads: int = 1) -> Iterator[Sources]:
    """The files of one run, watched until the end of the body. A single file is hashed from the first moment.

    A file is hashed by one thread; more than one helps where there are several large ones.
    """
    stop = Event()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="sha256")
    sources = Sources(pool, stop)
    try:
        if not is_remote(source) and os.path.isfile(source):  # noqa: PTH113 - unlike Path.is_file it never raises; reading says what is wrong
            sources.watch([source])
        yield sources
    finally:
        stop.set()
        # Not waited for: a signal may have cut us off while we held a lock that its thread needs to end.
        pool.shutdown(wait=False, cancel_futures=True)
