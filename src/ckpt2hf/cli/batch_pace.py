"""How far a batch is and how long it may still take, from what its observer is told."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.report import Status

if TYPE_CHECKING:
    from ckpt2hf.report import JobReport

_JOB = 50_000_000
"""What a job costs however small it is, as the bytes that could be converted in that time: a process, its imports."""
_WINDOW = 10.0
"""Seconds over which the rate is taken."""
_SOONEST = 5.0
"""Seconds before which an estimate would be a guess."""


class Rate:
    """Bytes a second, over the last seconds."""

    def __init__(self, now: float) -> None:
        """Nothing has happened yet."""
        self._start = now
        self._seconds: deque[tuple[int, int]] = deque()
        self._sum = 0

    def add(self, nbytes: int, now: float) -> None:
        """So many bytes were done by now."""
        second = int(now)
        if self._seconds and self._seconds[-1][0] == second:
            nbytes, self._sum = nbytes + self._seconds[-1][1], self._sum - self._seconds.pop()[1]
        self._seconds.append((second, nbytes))
        self._sum += nbytes
        self._forget(now)

    def at(self, now: float) -> float:
        """The rate by now."""
        self._forget(now)
        return self._sum / max(min(now - self._start, _WINDOW), 1.0)

    def _forget(self, now: float) -> None:
        while self._seconds and self._seconds[0][0] < now - _WINDOW:
            self._sum -= self._seconds.popleft()[1]


@dataclass(slots=True)
class Activity:
    """What a running job is doing."""

    phase: str
    since: float
    rate: Rate
    total: int = 0
    done: int = 0


@dataclass(slots=True)
class Pace:
    """The state of a batch. Every change takes the same time, however many jobs there are."""

    began: float
    jobs: int = 0
    nbytes: int = 0
    finished: int = 0
    finished_bytes: int = 0
    counts: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(Status, 0))
    running: dict[str, Activity] = field(default_factory=dict)
    rate: Rate = field(init=False)
    _worked: int = 0
    """Jobs of this run, as opposed to those an earlier one did."""
    _worked_bytes: int = 0

    def __post_init__(self) -> None:
        """The rate of all jobs together."""
        self.rate = Rate(self.began)

    def doing(self, name: str, what: str, now: float, total: int = 0) -> None:
        """A job begins something."""
        self.running[name] = Activity(what, now, Rate(now), total)

    def advanced(self, name: str, nbytes: int, now: float) -> None:
        """A job did so many bytes more."""
        self.rate.add(nbytes, now)
        if activity := self.running.get(name):
            activity.done += nbytes
            activity.rate.add(nbytes, now)

    def over(self, job: JobReport) -> None:
        """A job is finished."""
        self.running.pop(job.name, None)
        self.finished += 1
        self.finished_bytes += job.source_bytes
        self.counts[job.status] += 1
        if not job.earlier:
            self._worked += 1
            self._worked_bytes += job.source_bytes

    def remaining(self, now: float) -> float | None:
        """Seconds until the end; None while nothing can be said.

        A job counts by its bytes and a share that all have in common, so that neither a thousand small ones nor one
        large one throws the estimate off. What runs at the moment counts as half done.
        """
        elapsed = now - self.began
        if not self._worked or elapsed < _SOONEST:
            return None
        done = self._worked_bytes + _JOB * self._worked
        under_way = len(self.running) * done / self._worked / 2
        ahead = max(self.nbytes - self.finished_bytes, 0) + _JOB * max(self.jobs - self.finished, 0)
        return max(ahead - under_way, 0.0) / (done + under_way) * elapsed
