"""What a batch has done, written down as it happens, so that the next run goes on where this one was ended.

A journal is a file of JSON lines, only ever appended to, each on the disk before anything relies on it. Every line ends
in its own checksum: a line that a crash cut short, or that a disk changed, counts as never written, and its job is done
again.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ckpt2hf import __version__
from ckpt2hf.output import explained
from ckpt2hf.output.sync import sync
from ckpt2hf.report import JobReport, ReasonReport, Status, plain_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

PATTERN = "journal-*.jsonl"
"""The journals of all parts of a batch."""
_CHECK = "check"
_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Done:
    """The last that is known of a job."""

    key: str
    job: JobReport
    files: dict[str, int]
    """What was written, by name: sizes in bytes."""
    version: str
    """Of ckpt2hf."""

    def stands(self, key: str, directory: Path) -> bool:
        """Whether the job needs not be done again.

        A proof stands as long as source, options and result are what they were. A refusal stands as well, until another
        version of ckpt2hf may know better. What failed is always tried again.
        """
        if not key or key != self.key:  # a file that could not be looked at is unlike any other
            return False
        if self.job.status is Status.REFUSED:
            return self.version == __version__
        return self.job.status is Status.PROVED and _sizes(directory) == self.files


@dataclass(slots=True)
class Past:
    """What earlier runs wrote down."""

    done: dict[str, Done] = field(default_factory=dict)
    """The last result of each job, by name."""
    ours: set[str] = field(default_factory=set)
    """Names of the jobs that were begun when nothing was in their place: what lies there now was made by us."""
    attempts: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often each job was begun, by name and key."""
    skipped: int = 0
    """Lines that a crash or a disk spoiled, or that another version wrote in its own words."""


def read(journals: Iterable[Path]) -> Past:
    """What the journals say together. Raises OutputError."""

    def lines(path: Path) -> list[bytes]:
        with explained(path):
            return path.read_bytes().split(b"\n")

    return told(lines(path) for path in journals)


def told(journals: Iterable[Iterable[bytes]]) -> Past:
    """What the lines of journals say together, in the order in which it was written.

    Within one journal that is the order of its lines, even where somebody has set the clock back.
    """
    past = Past()
    records: list[tuple[str, dict[str, Any]]] = []
    for lines in journals:
        latest = ""
        for line in filter(None, lines):
            record = _checked(line)
            if record is None:
                past.skipped += 1
            else:
                latest = max(latest, str(record.get("time")))
                records.append((latest, record))
    for _, record in sorted(records, key=lambda pair: pair[0]):
        try:
            _add(past, record)
        except (AttributeError, KeyError, TypeError, ValueError):  # of a version that knows other words
            past.skipped += 1
    return past


def _add(past: Past, record: dict[str, Any]) -> None:
    name, key = record["name"], record["key"]
    if record["event"] == "started":
        if record["ours"]:
            past.ours.add(name)
        past.attempts[name, key] = past.attempts.get((name, key), 0) + 1
        past.done.pop(name, None)  # from here on its result is being replaced
    elif record["event"] == "finished":
        past.done[name] = Done(key, _job(record["job"]), record["files"], record["version"])


class Record(ABC):
    """What is written down; where to is for the kinds of journal to say."""

    def started(self, name: str, key: str, *, ours: bool) -> None:
        """An attempt begins; `ours` says whether what will lie in its place is ours. Raises OutputError."""
        self._write({"event": "started", "name": name, "key": key, "ours": ours})

    def finished(self, key: str, job: JobReport, files: Mapping[str, int]) -> None:
        """A job is done; its result is where it belongs, for good. Raises OutputError."""
        self._write({"event": "finished", "name": job.name, "key": key, "job": plain_tree(job), "files": dict(files)})

    def _write(self, record: dict[str, Any]) -> None:
        self.append(_signed(record | {"time": datetime.now(UTC).isoformat(), "version": __version__}))

    @abstractmethod
    def append(self, line: bytes) -> None:
        """One line, without its end; it is safe when this returns. Raises OutputError."""


class Journal(Record):
    """A journal in a file. One process writes it at a time: see `lock`."""

    def __init__(self, path: Path) -> None:
        """Open or make it; after a line that was cut short the next one begins anew. Raises OutputError."""
        self.path = path
        with explained(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            sync(path.parent)
            self._whole = self._ends_whole()

    def close(self) -> None:
        """No more lines."""
        os.close(self._descriptor)

    def append(self, line: bytes) -> None:
        """One line, on the disk when this returns. Raises OutputError."""
        with explained(self.path):
            data = line + b"\n" if self._whole else b"\n" + line + b"\n"
            self._whole = False
            while data:  # a disk that is nearly full takes a part, and refuses the rest
                data = data[os.write(self._descriptor, data) :]
            os.fsync(self._descriptor)
            self._whole = True

    def _ends_whole(self) -> bool:
        size = os.fstat(self._descriptor).st_size
        return not size or os.pread(self._descriptor, 1, size - 1) == b"\n"


@contextmanager
def written(path: Path) -> Iterator[Journal]:
    """A journal that is closed at the end. Raises OutputError."""
    made = Journal(path)
    try:
        yield made
    finally:
        made.close()


def _signed(record: dict[str, Any]) -> bytes:
    """The line of a record, its checksum last."""
    text = json.dumps(record, ensure_ascii=True, sort_keys=True)
    return f'{text[:-1]}, "{_CHECK}": "{_digest(text)}"}}'.encode()


def _checked(line: bytes) -> dict[str, Any] | None:
    """The record of a line; None if it is not what was written."""
    try:
        record = json.loads(line)
        check = record.pop(_CHECK)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    known: dict[str, Any] = record
    return known if check == _digest(json.dumps(record, ensure_ascii=True, sort_keys=True)) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _job(tree: dict[str, Any]) -> JobReport:
    reason = tree["reason"]
    made = JobReport(**{**tree, "status": Status(tree["status"]), "reason": None, "warnings": tuple(tree["warnings"])})
    return made if reason is None else replace(made, reason=_reason(reason))


def _reason(tree: dict[str, Any]) -> ReasonReport:
    return ReasonReport(**{**tree, "details": tuple(tree["details"]), "remedies": tuple(tree["remedies"])})


def _sizes(directory: Path) -> dict[str, int] | None:
    try:
        return {path.name: path.stat().st_size for path in directory.iterdir()}
    except OSError:
        return None
