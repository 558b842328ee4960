"""A file behind a URL as a local one that fills up: sparse, of its size, mapped, and fetched where somebody looks.

Optimizer state that nobody asks for is never fetched, and no byte is fetched twice. The local file has no name, so
that it is gone when the process is, however that ends.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING

from ckpt2hf.errors import OutputError
from ckpt2hf.remote.extents import Extents, cut, joined
from ckpt2hf.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ckpt2hf.remote.path import RemotePath

PIECE = 8 << 20
"""Bytes of a request, at most: enough that its latency does not matter, few enough to have many at a time."""
AHEAD = 64 << 10
"""Bytes fetched around what somebody looks at without having said so before; and the widest gap that is fetched, too,
rather than asked around: less than what comes during the latency of a request."""
AT_A_TIME = 8
"""Requests under way, at most. With pieces in memory they bound what fetching needs."""


class Fetched:
    """The bytes of a remote file. Whoever looks at `view` has to `require` that part before."""

    def __init__(self, path: RemotePath) -> None:
        """Reserve nothing, fetch nothing. Raises NotFoundError, UnreachableError, and OutputError for the scratch."""
        self.path = path
        self.entry = path.entry
        self.size = self.entry.nbytes
        self._there = Extents()
        self._lock = threading.Lock()
        try:
            with tempfile.TemporaryFile(prefix="ckpt2hf-", dir=path.scratch) as file:
                file.truncate(self.size)
                self._descriptor = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._descriptor)
            mapped = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) if self.size else b""
        except OSError as error:
            raise _scratch(path, [str(error)]) from error
        self.view = memoryview(mapped)

    def require(self, start: int, stop: int) -> None:
        """See that these bytes are there. Raises NotFoundError, CheckpointError, UnreachableError, OutputError."""
        if not self._there.has(start, stop):
            around = max(0, start - start % AHEAD), min(self.size, stop + -stop % AHEAD)
            self._fetch([around], lambda _nbytes: None)

    def prefetch(self, ranges: Iterable[tuple[int, int]], progress: Callable[[int], None]) -> None:
        """See that these runs `(start, nbytes)` are there, many at a time. Raises as `require` does."""
        inside = ((max(start, 0), min(start + nbytes, self.size)) for start, nbytes in ranges)
        self._fetch(joined(inside, AHEAD), progress)

    def to_fetch(self, ranges: Iterable[tuple[int, int]]) -> int:
        """How many bytes `prefetch` would have to fetch."""
        inside = ((max(start, 0), min(start + nbytes, self.size)) for start, nbytes in ranges)
        return sum(stop - start for run in joined(inside, AHEAD) for start, stop in self._there.missing(*run))

    def _fetch(self, runs: Iterable[tuple[int, int]], progress: Callable[[int], None]) -> None:
        """Fetch what is missing of these runs. One at a time does that, so that nothing is fetched twice."""
        with self._lock:
            pieces = list(cut((gap for run in runs for gap in self._there.missing(*run)), PIECE))
            if not pieces:
                return
            self._require_space(sum(stop - start for start, stop in pieces))
            if len(pieces) == 1:
                self._piece(*pieces[0])
                self._there = self._there.with_(*pieces[0])
                progress(pieces[0][1] - pieces[0][0])
                return

            def there(number: int, _nothing: None) -> None:
                start, stop = pieces[number]
                self._there = self._there.with_(start, stop)
                progress(stop - start)

            in_threads([partial(self._piece, *piece) for piece in pieces], AT_A_TIME, there)

    def _piece(self, start: int, stop: int) -> None:
        """One run of bytes into the local file. It counts as there only after this."""
        data = memoryview(self.path.store.read(self.path.url, start, stop - start, self.entry))
        try:
            while data:
                written = os.pwrite(self._descriptor, data, start)
                data, start = data[written:], start + written
        except OSError as error:
            raise _scratch(self.path, [str(error)]) from error

    def _require_space(self, nbytes: int) -> None:
        free = shutil.disk_usage(self.path.scratch or tempfile.gettempdir()).free
        if nbytes > free:
            raise _scratch(self.path, [f"needed {nbytes:,} bytes, free {free:,} bytes"])


def _scratch(path: RemotePath, details: list[str]) -> OutputError:
    where = path.scratch or tempfile.gettempdir()
    return OutputError(
        f"there is no room for what is fetched of {path.name}",
        details=details,
        where=str(where),
        remedies=["--scratch DIR   names a directory with more space; without it, TMPDIR does"],
    )
