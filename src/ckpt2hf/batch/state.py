"""Where a batch keeps what it knows of itself: locks and journals beside the results, and the reports among them."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from ckpt2hf.batch import journal, lock
from ckpt2hf.output import explained, remove_all_stale, write_whole
from ckpt2hf.remote import is_remote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ckpt2hf.batch.part import Part

FOLDER = ".ckpt2hf"
"""Its name in the output directory."""


class State(Protocol):
    """What a batch needs of the place its results go to."""

    def held(
        self, part: Part, wait: float | None, waiting: Callable[[], None]
    ) -> AbstractContextManager[tuple[int, ...]]:
        """The right to work there, and file descriptors that carry it on to other processes.

        Raises UsageError where somebody else has it after `wait` seconds, or, for None, when only a batch that still
        works can have it.
        """
        ...

    def past(self) -> journal.Past | None:
        """What earlier runs wrote down; None if there were none. Raises OutputError."""
        ...

    def record(self, part: Part) -> AbstractContextManager[journal.Record]:
        """What is written down from now on. Raises OutputError."""
        ...

    def publish(self, name: str, text: str) -> Path:
        """Write or replace a file beside the results, as a whole; gives its place. Raises OutputError."""
        ...

    def clean(self, places: Iterable[Path]) -> None:
        """Delete what killed processes have left where results go."""
        ...

    def free(self) -> int:
        """Bytes that can still be written. Raises OutputError."""
        ...


def state_of(out: Path, scratch: Path | None = None) -> State:
    """What fits the output: a directory, or a URL, for which results are made in `scratch` first."""
    if is_remote(out):
        from ckpt2hf.batch.remote_state import RemoteState  # noqa: PLC0415 - not for local work

        return RemoteState(out, scratch)
    return LocalState(out)


class LocalState:
    """In a directory."""

    def __init__(self, out: Path) -> None:
        """Nothing is made yet."""
        self.out = out
        self.folder = out / FOLDER

    @contextmanager
    def held(self, part: Part, wait: float | None, waiting: Callable[[], None]) -> Iterator[tuple[int, ...]]:
        """A lock that the system drops when the last process that holds it is gone. Raises UsageError, OutputError."""
        with explained(self.out):
            self.folder.mkdir(parents=True, exist_ok=True)
        seconds = lock.BRIEFLY if wait is None else wait
        with lock.held(self.folder, (part.index, part.count), seconds, waiting) as descriptor:
            yield (descriptor,)

    def past(self) -> journal.Past | None:
        """What the journals of all parts say. Raises OutputError."""
        found = sorted(self.folder.glob(journal.PATTERN))
        return journal.read(found) if found else None

    def record(self, part: Part) -> AbstractContextManager[journal.Record]:
        """The journal of a part. Raises OutputError."""
        return journal.written(self.folder / f"journal-{part.index}-of-{part.count}.jsonl")

    def publish(self, name: str, text: str) -> Path:
        """A file beside the results. Raises OutputError."""
        write_whole(self.out / name, text, self.folder / f"{name}.partial")
        return self.out / name

    def clean(self, places: Iterable[Path]) -> None:
        """Partial directories that nobody holds any more."""
        for parent in {place.parent for place in places}:
            with suppress(OSError):
                remove_all_stale(parent)

    def free(self) -> int:
        """Bytes free on the disk that the output is on, or would be. Raises OutputError."""
        place = self.out.absolute()
        there = next((each for each in (place, *place.parents) if each.exists()), place)
        with explained(self.out):
            return shutil.disk_usage(there).free
