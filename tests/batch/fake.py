"""An executor and an observer for the coordinator's tests: jobs follow a script, time is counted, not waited for."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckpt2hf.batch.events import Abandoned, Converted, Lost, Planned
from ckpt2hf.batch.job import Job
from ckpt2hf.report import JobReport, Status
from ckpt2hf.run import Needs, Request, Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ckpt2hf.batch.events import Event


def job(name: str, out: Path, **words: Any) -> Job:
    """A job with a source that is there."""
    given: dict[str, Any] = {"nbytes": 1, **words}
    source = given.pop("source", Path(__file__))
    return Job(name=name, request=Request(source=source), writing=Writing(out=out / name), files=(source,), **given)


def proved(name: str) -> Converted:
    return Converted(JobReport(name=name, source=name, source_bytes=1, status=Status.PROVED), {"config.json": 2})


@dataclass
class Script:
    """What one attempt of a job does: when it is planned, what it needs, when and how it ends."""

    plan_after: float = 1.0
    needs: Needs = field(default_factory=lambda: Needs(memory=1, libraries=0, disk=0))
    work: float = 10.0
    last: Event | None = None
    """None: it is proved, and its directory appears."""
    deaf: bool = False
    """Whether it goes on when it is told to stop, until it is killed."""


@dataclass
class FakeExecutor:
    """Carries out scripts; `script(job, attempt)` gives each attempt's."""

    slots: int
    script: Callable[[Job, int], Script]
    before_wait: Callable[[FakeExecutor], None] = lambda _executor: None
    name: str = "fake"
    schedules: bool = False
    clock: float = 1.0
    running: dict[int, tuple[Job, Script]] = field(default_factory=dict)
    working: dict[int, Needs] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)
    most_memory: int = 0
    most_working: int = 0
    _events: list[tuple[float, int, int, Event]] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=itertools.count)

    def start(self, job: Job) -> int:
        number = next(self._count)
        assert len(self.running) < self.slots
        self.started.append(job.name)
        script = self.script(job, self.started.count(job.name))
        self.running[number] = (job, script)
        if script.plan_after < 0:
            self._tell(-script.plan_after, number, script.last or Lost("died while planning"))
        else:
            self._tell(script.plan_after, number, Planned(script.needs))
        return number

    def let_in(self, number: int, needs: Needs) -> None:
        job, script = self.running[number]
        assert number not in self.working
        self.working[number] = needs
        self.most_memory = max(self.most_memory, sum(needs.memory for needs in self.working.values()))
        self.most_working = max(self.most_working, len(self.working))
        self._tell(script.work, number, script.last or proved(job.name))

    def stop(self, number: int, *, kill: bool) -> None:
        job, script = self.running[number]
        if kill:
            self.killed.append(job.name)
        if kill or not script.deaf:
            self._events = [event for event in self._events if event[2] != number]
            heapq.heapify(self._events)
            self._tell(0.1, number, Lost("SIGKILL") if kill else Abandoned())

    def wait(self, timeout: float) -> Sequence[tuple[int, Event]]:
        self.before_wait(self)
        until = self.clock + timeout
        if not self._events or self._events[0][0] > until:
            self.clock = until
            return []
        at, _, number, event = heapq.heappop(self._events)
        self.clock = max(self.clock, at)
        if not isinstance(event, Planned):
            job, _ = self.running.pop(number)
            self.working.pop(number, None)
            if isinstance(event, Converted):
                job.writing.out.mkdir(parents=True, exist_ok=True)
                (job.writing.out / "config.json").write_text("{}", encoding="utf-8")
        return [(number, event)]

    def now(self) -> float:
        return self.clock

    def close(self) -> None:
        """Nothing is open."""

    def _tell(self, after: float, number: int, event: Event) -> None:
        heapq.heappush(self._events, (self.clock + after, next(self._count), number, event))


@dataclass
class Seen:
    """An observer that remembers the calls."""

    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def __getattr__(self, name: str) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            self.calls.append((name, arguments))

        return call

    def of(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for called, arguments in self.calls if called == name]
