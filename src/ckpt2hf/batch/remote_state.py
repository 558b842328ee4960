"""What a batch knows of itself, kept behind a URL: objects, because a store can neither append nor lock.

Every record of a journal is an object of its own. The right to work there is a lease: an object that says who has it
and until when, renewed while the batch runs. Two batches that write a lease at the same moment both look again a moment
later, and the one that finds the other's goes. Stores answer with the last object written; a store that does not would
let both in, and then the marks that each upload leaves keep them from mixing their files.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt2hf.batch import journal
from ckpt2hf.errors import Ckpt2hfError, UsageError
from ckpt2hf.output import explained
from ckpt2hf.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ckpt2hf.batch.part import Part
    from ckpt2hf.remote import RemotePath

LASTS = 60.0
"""Seconds a lease lasts. A batch that was killed keeps the next one waiting for so long, at most."""
_SETTLES = 1.0
"""Seconds after which a lease that was written is looked at again."""
_POLL = 1.0
"""Seconds between two looks at somebody else's lease."""
_AT_ONCE = 16
"""Records read at the same time."""


class RemoteState:
    """Behind a URL."""

    def __init__(self, out: RemotePath, scratch: Path | None) -> None:
        """Nothing is asked yet."""
        self.out = out
        self.folder = out / ".ckpt2hf"
        self.store = out.store
        self.scratch = scratch or Path(tempfile.gettempdir())

    @contextmanager
    def held(self, part: Part, wait: float | None, waiting: Callable[[], None]) -> Iterator[tuple[int, ...]]:
        """A lease, renewed until the end of the body. Raises UsageError while somebody else has one."""
        lease = _Lease(self, f"lease-{part.index}-of-{part.count}.json", f"-of-{part.count}.json")
        deadline, told = time.monotonic() + (LASTS * 1.1 if wait is None else wait), False
        while (holder := lease.taken()) is not None:
            if time.monotonic() >= deadline:
                raise UsageError(
                    "another batch is working on this output directory",
                    details=[f"{holder} has it; if it was killed, it has it for {LASTS:.0f} seconds more at most"],
                    where=str(self.out),
                    remedies=["--wait 1h   waits for it", "choose another -o"],
                )
            if not told:
                told = True
                waiting()
            time.sleep(_POLL)
        with lease.renewed():
            yield ()

    def past(self) -> journal.Past | None:
        """What the journals of all parts say; their records are read several at a time. Raises UnreachableError."""
        folders = [self.folder / e.name for e in self.store.entries(self.folder.url) if e.name.startswith("journal-")]
        if not folders:
            return None
        lines = [in_threads([path.read_bytes for path in sorted(folder.iterdir())], _AT_ONCE) for folder in folders]
        return journal.told(lines)

    @contextmanager
    def record(self, part: Part) -> Iterator[journal.Record]:
        """The journal of a part: an object for each record."""
        yield _Objects(self.folder / f"journal-{part.index}-of-{part.count}")

    def publish(self, name: str, text: str) -> RemotePath:
        """An object beside the results. Raises OutputError, UnreachableError."""
        place = self.out / name
        self.store.write(place.url, text.encode())
        return place

    def clean(self, places: Iterable[Path]) -> None:
        """Nothing: each upload looks after what those before it have left."""

    def free(self) -> int:
        """Bytes free where results are made before they are sent. Raises OutputError."""
        with explained(self.scratch):
            self.scratch.mkdir(parents=True, exist_ok=True)
            return shutil.disk_usage(self.scratch).free


class _Objects(journal.Record):
    """A journal whose lines are objects, named so that their order is that of their writing."""

    def __init__(self, folder: RemotePath) -> None:
        self.folder = folder
        self.count = 0
        self.run = f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"

    def append(self, line: bytes) -> None:
        self.count += 1
        self.folder.store.write((self.folder / f"{self.run}-{self.count:08}.json").url, line)


class _Lease:
    """One object, and who has written it last."""

    def __init__(self, state: RemoteState, name: str, kin: str) -> None:
        self.state, self.name, self.kin = state, name, kin
        self.token = secrets.token_hex(16)
        self.over = threading.Event()

    def taken(self) -> str | None:
        """Takes the lease; None if that worked, else who has it, or one that excludes it."""
        folder, store = self.state.folder, self.state.store
        for entry in store.entries(folder.url):
            if entry.name.startswith("lease-") and (entry.name == self.name or not entry.name.endswith(self.kin)):
                holder = self._holder(entry.name)
                if holder is not None:
                    return holder
        self._write()
        time.sleep(_SETTLES)
        return self._holder(self.name)

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """The lease goes on until the end of the body; then it is given back."""
        thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.over.set()
            thread.join()
            with suppress(Ckpt2hfError):
                self.state.store.delete([(self.state.folder / self.name).url])

    def _renew(self) -> None:
        while not self.over.wait(LASTS / 4):
            with suppress(Ckpt2hfError):  # the next time is soon enough
                self._write()

    def _write(self) -> None:
        said = {"token": self.token, "who": f"process {os.getpid()} on {socket.gethostname()}", "until": _now() + LASTS}
        self.state.store.write((self.state.folder / self.name).url, json.dumps(said).encode())

    def _holder(self, name: str) -> str | None:
        """Who else has a lease that is not over; None if nobody has."""
        path = self.state.folder / name
        try:
            said: dict[str, Any] = json.loads(path.afresh().read_bytes())
            over = said["token"] == self.token or float(said["until"]) < _now()
            return None if over else str(said["who"])
        except (Ckpt2hfError, ValueError, KeyError, TypeError):
            return None  # gone meanwhile, or never ours


def _now() -> float:
    """Seconds that machines agree on, more or less."""
    return time.time()
