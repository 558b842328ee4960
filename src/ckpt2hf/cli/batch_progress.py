"""Progress of a batch on stderr: a live view on a terminal, a line for each job elsewhere, JSON lines, or nothing."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ckpt2hf.batch.observer import Silent
from ckpt2hf.cli.batch_live import LiveView
from ckpt2hf.cli.batch_pace import Pace
from ckpt2hf.cli.batch_words import outcome
from ckpt2hf.cli.console import ERR
from ckpt2hf.report import plain_tree
from ckpt2hf.report.wording import counted, duration, size, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckpt2hf.batch.observer import Observer
    from ckpt2hf.report import JobReport, SkippedReport

_LARGE = 1_000_000_000
"""Bytes of a phase from which on a job is worth a line before it is done."""
_EVERY = 1.0
"""Seconds between two events that say how many bytes of a phase are done."""


class Lines(Silent):
    """A line for each job that is done, for logs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Take times from this clock."""
        self._clock = clock
        self._pace = Pace(clock())
        self._announced: set[str] = set()

    def begin(self, names: Sequence[str], nbytes: int, skipped: Sequence[SkippedReport], workers: int) -> None:
        """How much there is to do."""
        self._pace = Pace(self._clock(), len(names), nbytes)
        beside = f", {counted(len(skipped), 'other file')}" if skipped else ""
        at_once = counted(workers, "worker")
        self._say(f"{counted(len(names), 'checkpoint')}, {size(nbytes)}{beside}, {at_once}")

    def phase(self, name: str, phase: str, total: int) -> None:
        """Only for large jobs, once: they are silent for long."""
        if total >= _LARGE and name not in self._announced:
            self._announced.add(name)
            self._say(f"{visible(name)}: {phase}, {size(total)}")

    def again(self, name: str, why: str, delay: float) -> None:
        """What will be tried once more."""
        self._say(f"{visible(name)}: again in {duration(delay)}: {visible(why)}")

    def finished(self, job: JobReport) -> None:
        """One line, with its number."""
        self._announced.discard(job.name)
        self._pace.over(job)
        total = str(max(self._pace.jobs, self._pace.finished))
        left = self._pace.remaining(self._clock())
        ahead = f"  ({duration(left)} left)" if left and not job.reason and not job.earlier else ""
        self._say(f"[{self._pace.finished:{len(total)}}/{total}] {outcome(job)}{ahead}")

    def stopping(self, why: str, grace: float) -> None:
        """That it ends early."""
        self._say(f"stopping: {visible(why)}; what runs has {duration(grace)}")

    def _say(self, text: str) -> None:
        ERR.print(f"ckpt2hf: {text}", markup=False)


class JsonLines(Silent):
    """One JSON object for each event, for programs; docs/batch-report.md lists them."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        write: Callable[[str], object] = ERR.out,
    ) -> None:
        """Take times from these clocks."""
        self._clock, self._now, self._write = clock, now, write
        self._phases: dict[str, tuple[str, int]] = {}
        self._done: dict[str, int] = {}
        self._said: dict[str, float] = {}

    def begin(self, names: Sequence[str], nbytes: int, skipped: Sequence[SkippedReport], workers: int) -> None:
        """The first event."""
        self._event("begin", jobs=len(names), bytes=nbytes, skipped=len(skipped), workers=workers)

    def started(self, name: str, attempt: int) -> None:
        """An attempt begins."""
        self._event("started", name=name, attempt=attempt)

    def waiting(self, name: str, why: str) -> None:
        """A job waits for memory or disk."""
        self._event("waiting", name=name, why=why)

    def phase(self, name: str, phase: str, total: int) -> None:
        """A phase begins."""
        self._phases[name] = (phase, total)
        self._done[name] = 0
        self._said[name] = self._clock()
        self._event("phase", name=name, phase=phase, total=total)

    def advanced(self, name: str, nbytes: int) -> None:
        """At most one event a second for each job."""
        self._done[name] = self._done.get(name, 0) + nbytes
        now = self._clock()
        if now - self._said.get(name, now - _EVERY) >= _EVERY:
            self._said[name] = now
            phase, total = self._phases.get(name, ("", 0))
            self._event("advanced", name=name, phase=phase, done=self._done[name], total=total)

    def again(self, name: str, why: str, delay: float) -> None:
        """A job will be tried once more."""
        self._forget(name)
        self._event("again", name=name, why=why, delay=delay)

    def finished(self, job: JobReport) -> None:
        """A job is done; the event holds what batch.json will say of it."""
        self._forget(job.name)
        self._event("finished", job=plain_tree(job))

    def stopping(self, why: str, grace: float) -> None:
        """The batch ends early."""
        self._event("stopping", why=why, grace=grace)

    def end(self) -> None:
        """The last event."""
        self._event("end")

    def _forget(self, name: str) -> None:
        for each in (self._phases, self._done, self._said):
            each.pop(name, None)

    def _event(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - any JSON value
        told = {"time": self._now().isoformat(timespec="milliseconds"), "event": event, **fields}
        self._write(json.dumps(told, separators=(",", ":")))


@contextmanager
def observing(*, quiet: bool, log_json: bool) -> Iterator[Observer]:
    """Who is told how far a batch is."""
    if log_json:
        yield JsonLines()
    elif quiet:
        yield Silent()
    elif not ERR.is_terminal:
        yield Lines()
    else:
        with LiveView(ERR) as view:
            yield view
