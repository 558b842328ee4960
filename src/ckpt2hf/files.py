"""The bytes of a checkpoint's file: mapped, or fetched when somebody looks; and runs of them."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import CheckpointError, NotFoundError
from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ckpt2hf.remote.fetched import Fetched

READ_AHEAD = 1 << 16
"""Bytes of a remote file that are fetched for who reads on without knowing how far."""


class MappedFile:
    """One file, read-only: the bytes every stored tensor points into. Only `bytes_at` and `ahead` lead to them.

    A local file is mapped. One behind a URL is a mapped file that fills up: what nobody asks for is not fetched.
    """

    def __init__(self, path: Path) -> None:
        """Map the file; an empty one has no bytes. Raises NotFoundError, CheckpointError, UnreachableError."""
        self.path = path
        self._fetched: Fetched | None = None
        if is_remote(path):
            self._fetched = path.fetched()
            self.size, self._view = self._fetched.size, self._fetched.view
            return
        try:
            with path.open("rb") as file:
                self.size = file.seek(0, 2)
                self._view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if self.size else b"")
        except (FileNotFoundError, PermissionError) as error:
            raise NotFoundError(f"cannot open {path}", details=[error.strerror or str(error)]) from error
        except (OSError, ValueError) as error:
            raise CheckpointError(f"cannot map {path}", details=[str(error)], where=str(path)) from error

    @classmethod
    def of_bytes(cls, path: Path, data: bytes) -> MappedFile:
        """Bytes in memory that came out of a file in which they lie nowhere as they are."""
        made = cls.__new__(cls)
        made.path, made.size, made._fetched = path, len(data), None  # noqa: SLF001 - another way to construct it
        made._view = memoryview(data)  # noqa: SLF001
        return made

    @property
    def span(self) -> Span:
        """All of it."""
        return Span(self, 0, self.size)

    def bytes_at(self, start: int, nbytes: int) -> memoryview:
        """The bytes from `start` on, not copied: `nbytes` of them, fewer where the file ends."""
        stop = max(start, min(start + nbytes, self.size))
        if self._fetched is not None:
            self._fetched.require(start, stop)
        return self._view[start:stop]

    def ahead(self, start: int, nbytes: int) -> memoryview:
        """The same and as many bytes after them as cost nothing, for who reads on without knowing how far."""
        return self.bytes_at(start, max(nbytes, READ_AHEAD) if self._fetched else self.size)

    def prefetch(
        self, ranges: Iterable[tuple[int, int]], progress: Callable[[int], None] = lambda _nbytes: None
    ) -> None:
        """See that these `(start, nbytes)` are at hand, all at once rather than one by one when they are asked for.

        `progress` is told the bytes that were fetched. Raises NotFoundError, CheckpointError, UnreachableError,
        OutputError.
        """
        if self._fetched is not None:
            self._fetched.prefetch(ranges, progress)

    def to_fetch(self, ranges: Iterable[tuple[int, int]]) -> int:
        """How many bytes that would fetch."""
        return self._fetched.to_fetch(ranges) if self._fetched is not None else 0

    def offset_of(self, part: memoryview) -> int | None:
        """Where in the file a view lies that came from here; None for other bytes."""
        if part.obj is not self._view.obj or not len(part):
            return None
        return int(np.frombuffer(part, np.uint8).ctypes.data - np.frombuffer(self._view, np.uint8).ctypes.data)


@dataclass(frozen=True, slots=True)
class Span:
    """A run of bytes of a mapped file, such as one storage. Spans are equal when they are the same bytes."""

    file: MappedFile
    start: int
    nbytes: int

    @property
    def view(self) -> memoryview:
        """The bytes themselves, not copied."""
        return self.file.bytes_at(self.start, self.nbytes)

    def within(self, at: int, nbytes: int) -> Span:
        """The run of `nbytes` from `at` on, counted from the start of the span, which has to hold it."""
        return Span(self.file, self.start + at, nbytes)

    def part(self, at: int, nbytes: int) -> memoryview:
        """The bytes from `at` on, counted from the start of the span: `nbytes` of them, fewer where it ends."""
        return self.file.bytes_at(self.start + at, min(nbytes, self.nbytes - at))

    def ahead(self, at: int, nbytes: int) -> memoryview:
        """The same and as many bytes of the span after them as cost nothing."""
        return self.file.ahead(self.start + at, min(nbytes, self.nbytes - at))[: self.nbytes - at]
