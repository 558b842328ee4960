"""A model directory behind a URL: made and proved in a local one, then sent, and one object says that it is complete.

A store cannot rename, so nothing there happens in one step but the arrival of a single file. That file is
`conversion.json`: it is sent last, and deleted first where a model is replaced. What has no `conversion.json` is not a
model directory. Before anything else, a note is left that says which files are on their way, so that the next run
knows the remains of a killed one from somebody's own files.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import BrokenPromiseError, Ckpt2hfError, OutputError, UsageError
from ckpt2hf.output.disk import explained
from ckpt2hf.output.partial_directory import locked_partial, remove_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ckpt2hf.remote import RemotePath
    from ckpt2hf.remote.store import Entry

MARKER = "conversion.json"
"""What is there once everything is."""
NOTE = "conversion.partial.json"
"""What is there while something may be missing."""
_MODEL_NAMES, _MODEL_SUFFIXES = {"config.json", MARKER}, (".safetensors", ".bin")
_READ_ONLY = {"http", "https"}
_SHOWN = 5


@contextmanager
def uploaded_directory(
    out: RemotePath,
    *,
    force: bool,
    phase: Callable[[str, int], None] = lambda _name, _total: None,
    advance: Callable[[int], None] = lambda _nbytes: None,
) -> Iterator[Path]:
    """An empty local directory to fill; afterwards its files are sent to `out`, `conversion.json` last.

    If the body raises, nothing was sent. If sending fails, what was sent is deleted, as far as the store answers.
    With `force` a model that is there is replaced: its `conversion.json` goes first. What lies deeper than the files
    of the model stays: prefixes are no directories, and it may belong to somebody else. `phase` and `advance` are
    told about the sending. Raises UsageError where `out` must not be replaced, OutputError, NotFoundError where
    access is denied, UnreachableError.
    """
    _require_place(out)
    _replaceable(out, force=force)
    sending = _Sending(out, advance)
    sending.begin()
    try:
        with _scratch(out) as partial:
            yield partial
            files = _filled(partial, out)
            phase("upload", sum(path.stat().st_size for path in files))
            sending.run(files, force=force)
    except BaseException:
        sending.clear()
        raise
    sending.end()


@contextmanager
def _scratch(out: RemotePath) -> Iterator[Path]:
    """A local directory whose name the next run for the same URL finds again, to delete what a killed one has left."""
    digest = hashlib.sha256(out.url.encode()).hexdigest()[:16]
    place = Path(out.scratch or tempfile.gettempdir()).resolve() / f"ckpt2hf-{digest}"
    with ExitStack() as stack:
        with explained(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            remove_stale(place)
            partial = stack.enter_context(locked_partial(place))
        yield partial


def _filled(partial: Path, out: RemotePath) -> list[Path]:
    """The files that were made, the largest first. Raises BrokenPromiseError without the one that goes last."""
    files = sorted(partial.iterdir(), key=lambda path: (-path.stat().st_size, path.name))
    if MARKER not in {path.name for path in files}:
        raise BrokenPromiseError(f"a directory without {MARKER} was to be sent to {out}")
    return files


def _require_place(out: RemotePath) -> None:
    if out.scheme in _READ_ONLY:
        raise UsageError(f"nothing can be written to {out.scheme}://", where=str(out), remedies=["choose another -o"])
    if out.is_top or not out.name:
        raise UsageError(f"{out} is all of a store", where=str(out), remedies=[f"-o {out / 'model'}"])


def _replaceable(out: RemotePath, *, force: bool) -> list[Entry]:
    """The files that are there and may be replaced. Raises UsageError for others."""
    if out.is_file():
        raise UsageError(f"{out} exists and is not a directory", where=str(out), remedies=["choose another -o"])
    there = [entry for entry in out.store.entries(out.url) if not entry.is_folder]
    names = {entry.name for entry in there}
    if names <= _remains(out, names):
        return there
    if not force:
        remedies = ["--force   to replace it, or choose another -o"]
        raise UsageError(f"{out} exists", details=sorted(names)[:_SHOWN], where=str(out), remedies=remedies)
    if not any(name in _MODEL_NAMES or name.endswith(_MODEL_SUFFIXES) for name in names):
        raise UsageError(
            f"{out} is not a model directory: nothing in it is called like a part of one",
            details=sorted(names)[:_SHOWN],
            where=str(out),
            remedies=["choose another -o"],
        )
    return there


def _remains(out: RemotePath, names: set[str]) -> set[str]:
    """The files of an upload that was begun and never finished; none if it was finished, or if there was none."""
    if NOTE not in names or MARKER in names:
        return set()
    note = _note(out)
    return {NOTE, *note.files} if note else {NOTE}


@dataclass(frozen=True, slots=True)
class _Note:
    files: tuple[str, ...]
    """What may be there of this upload, and of those before it that were never finished."""
    token: str
    """Which run wrote it."""


def _note(out: RemotePath) -> _Note | None:
    """The note that is there; None if there is none, or one that is not ours."""
    url = (out / NOTE).url
    entry = out.store.look(url)
    if entry is None:
        return None
    try:
        read = json.loads(out.store.read(url, 0, entry.nbytes, entry))
        return _Note(tuple(map(str, read["files"])), str(read["token"]))
    except (ValueError, KeyError, TypeError):
        return None


class _Sending:
    """The files of one directory on their way."""

    def __init__(self, out: RemotePath, advance: Callable[[int], None]) -> None:
        self.out = out
        self.store = out.store
        self.advance = advance
        self.token = secrets.token_hex(16)
        self.remains: set[str] = set()
        self.sent: list[str] = []

    def begin(self) -> None:
        """Leave the note: whether anything may be written there is known before the work, not after it."""
        there = {entry.name for entry in self.store.entries(self.out.url)}
        self.remains = there & _remains(self.out, there) - {NOTE}
        self._leave_note(self.remains)

    def run(self, files: Sequence[Path], *, force: bool) -> None:
        """Send everything, the marker last, once all else is there."""
        marker = next(path for path in files if path.name == MARKER)
        others = [path for path in files if path is not marker]
        # Hours may have passed: what was checked before may no longer hold.
        self._require_alone()
        there = {entry.name for entry in _replaceable(self.out, force=force)} - {NOTE}
        self._leave_note([*there, *(path.name for path in files)])
        self.store.abandon(self.out.url)
        self.store.delete([self._url(MARKER)] if MARKER in there else [])
        self.sent = [path.name for path in files]
        for path in others:
            self.store.put(path, self._url(path.name), self.advance)
        self.store.delete(self._url(name) for name in sorted(there.difference(self.sent)))
        self._compare(others)
        self._require_alone()
        self.store.put(marker, self._url(MARKER), self.advance)
        self._compare(files)

    def end(self) -> None:
        """The model is complete; a note beside it would do no harm."""
        with suppress(Ckpt2hfError):
            self.store.delete([self._url(NOTE)])

    def clear(self) -> None:
        """Delete what was sent, the marker first, unless another run has taken the place.

        Without the marker it counts for nothing, whether or not the rest can be deleted.
        """
        with suppress(Ckpt2hfError):
            self._require_alone()
            self.store.abandon(self.out.url)
            others = {*self.sent, *self.remains} - {MARKER}
            first = [MARKER] if MARKER in self.sent else []
            self.store.delete(self._url(name) for name in (*first, *sorted(others), NOTE))

    def _leave_note(self, files: Iterable[str]) -> None:
        note = {"files": sorted(set(files)), "token": self.token}
        self.store.write(self._url(NOTE), json.dumps(note).encode())

    def _url(self, name: str) -> str:
        return (self.out / name).url

    def _compare(self, files: Sequence[Path]) -> None:
        """Raises OutputError unless the store has each file, of the size that was sent."""
        sizes = {entry.name: entry.nbytes for entry in self.store.entries(self.out.url)}
        wrong = [
            f"{path.name}: {path.stat().st_size} bytes were sent, {sizes.get(path.name, 'none')} are there"
            for path in files
            if sizes.get(path.name) != path.stat().st_size
        ]
        if wrong:
            raise OutputError("the store does not have what was sent", details=wrong, where=str(self.out))

    def _require_alone(self) -> None:
        """Raises OutputError if another run has put its own note there meanwhile."""
        note = _note(self.out)
        if note is None or note.token != self.token:
            raise OutputError(
                "another run is writing to the same place",
                where=str(self.out),
                remedies=["let it finish, then look at what it wrote", "choose another -o"],
            )
