"""Takes every job of a batch to its end: what begins when, what is tried again, what has taken too long."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ckpt2hf.batch.attempt import Attempt, State, blank, why_lost
from ckpt2hf.batch.events import Advanced, Converted, Lost, Phase, Planned, Raised
from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.key import job_key
from ckpt2hf.batch.place import is_free
from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.output import remove_stale
from ckpt2hf.report import JobReport, ReasonReport, Status
from ckpt2hf.run import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.batch.admission import Room
    from ckpt2hf.batch.events import Event, Executor
    from ckpt2hf.batch.job import Job
    from ckpt2hf.batch.journal import Past, Record
    from ckpt2hf.batch.observer import Observer

_TICK = 0.5
"""Seconds after which the clock is looked at, whatever happens."""
_CLEANING = 5.0
"""Seconds a job that was told to stop gets to remove what it has begun."""
_BEGINNING = 60.0
"""Seconds of a job's process that do not count as its own: the first ones wait for the libraries to be imported."""
_FIRST_DELAY, _LONGEST_DELAY = 1.0, 60.0
"""Seconds before a second attempt, doubled for each further one."""


@dataclass(slots=True)
class Coordinator:
    """The jobs of one batch, and everything they need to run."""

    executor: Executor
    journal: Record
    past: Past
    observer: Observer
    room: Room
    grace: float
    stops: list[str] = field(default_factory=list)
    """Why the batch was told to stop, once for each time; a signal handler adds to it."""
    results: dict[str, JobReport] = field(default_factory=dict)
    """What became of each job, by name."""
    _queue: deque[Attempt] = field(default_factory=deque)
    _later: list[tuple[float, int, Attempt]] = field(default_factory=list)
    _active: dict[int, Attempt] = field(default_factory=dict)
    _stops_obeyed: int = 0
    _stop_at: float | None = None
    """When what still runs is told to end, once the batch was."""

    def run(self, jobs: Sequence[Job]) -> None:
        """Every job to its end, or to where the batch was told to stop.

        Raises OutputError when the journal cannot be written: nothing more is begun then.
        """
        for job in jobs:
            self._consider(job)
        # The largest first: a large one begun last would run alone at the end.
        self._queue = deque(sorted(self._queue, key=lambda attempt: (-attempt.job.nbytes, attempt.job.name)))
        while self._active or (self._stop_at is None and (self._queue or self._later)):
            self._obey()
            self._begin()
            for number, event in self.executor.wait(self._patience()):
                self._hear(number, event)
            self._let_in()
            self._watch_clock()
        for attempt in [*self._queue, *(attempt for _, _, attempt in self._later)]:
            self._keep(attempt, blank(attempt.job, Status.PENDING))

    def _obey(self) -> None:
        """Begin nothing new if told to stop; what runs has the grace period to finish. Told twice, it has none."""
        if self._stops_obeyed < len(self.stops):
            grace = 0.0 if len(self.stops) > 1 else self.grace
            self._stops_obeyed = len(self.stops)
            # What is told to end needs some of the time to clean up.
            self._stop_at = self.executor.now() + grace * 0.6
            self.observer.stopping(self.stops[-1], grace)

    def _consider(self, job: Job) -> None:
        """A job that was done before is a result; any other is queued."""
        try:
            key = job_key(job)
        except (NotFoundError, UsageError):
            key = ""  # reading it will say what is wrong
        done = self.past.done.get(job.name)
        if done is not None and done.stands(key, job.writing.out):
            self.results[job.name] = replace(done.job, earlier=True)
            self.observer.finished(self.results[job.name])
            return
        self._queue.append(Attempt(job, key, 1))

    def _begin(self) -> None:
        """Start as many jobs as there are places."""
        now = self.executor.now()
        while self._later and self._later[0][0] <= now:
            self._queue.appendleft(heapq.heappop(self._later)[2])
        while self._queue and len(self._active) < self.executor.slots and self._stop_at is None:
            attempt = self._queue.popleft()
            attempt.job = self._entitled(attempt.job)
            self.journal.started(attempt.job.name, attempt.key, ours=attempt.job.name in self.past.ours)
            self.past.attempts[attempt.job.name, attempt.key] = self._attempts(attempt) + 1
            attempt.started = self.executor.now()
            self._active[self.executor.start(attempt.job)] = attempt
            self.observer.started(attempt.job.name, attempt.count)

    def _entitled(self, job: Job) -> Job:
        """The job, allowed to replace what an earlier attempt of ours has left, be it of this run or of another."""
        out = job.writing.out
        if job.name in self.past.ours:
            return replace(job, writing=replace(job.writing, force=True)) if (out / REPORT).exists() else job
        if job.writing.force or is_free(out):
            self.past.ours.add(job.name)
        return job

    def _patience(self) -> float:
        """How long to wait for something to happen."""
        now = self.executor.now()
        moments = [self._later[0][0]] if self._later else []
        moments += [attempt.kill_at for attempt in self._active.values() if attempt.kill_at is not None]
        return min(_TICK, max(0.0, min(moments, default=now + _TICK) - now))

    def _hear(self, number: int, event: Event) -> None:
        attempt = self._active[number]
        name = attempt.job.name
        if not attempt.heard:
            # Before, it was its process that began.
            attempt.heard, attempt.started = True, self.executor.now() - attempt.spent
        if isinstance(event, Phase):
            self.observer.phase(name, event.name, event.total)
        elif isinstance(event, Advanced):
            self.observer.advanced(name, event.nbytes)
        elif isinstance(event, Planned):
            attempt.state, attempt.needs, attempt.waited = State.WAITING, event.needs, self.executor.now()
            refusal = self.room.never(event.needs)
            if refusal is not None:
                self._end(number, judged(refusal).reason)
        else:
            del self._active[number]
            self._conclude(attempt, event)

    def _let_in(self) -> None:
        """Those that wait, in the order in which they came.

        One that does not fit holds up the others, or it might wait for ever.
        """
        waiting = [(n, a) for n, a in self._active.items() if a.state is State.WAITING and a.ended_by is None]
        for number, attempt in sorted(waiting, key=lambda pair: pair[1].waited):
            assert attempt.needs is not None  # noqa: S101 - it waits because it has said so
            working = [a for a in self._active.values() if a.state is State.WORKING]
            taken = [a.needs for a in working if a.needs is not None]
            missing = self.room.missing(attempt.needs, taken)
            if working and (missing or attempt.alone or any(a.alone for a in working)):
                if not attempt.told_to_wait:
                    attempt.told_to_wait = True
                    self.observer.waiting(attempt.job.name, missing or "the others to finish")
                return
            if missing:
                self._end(number, judged(self.room.full(attempt.needs, attempt.job.writing.out)).reason)
                return
            attempt.started += self.executor.now() - attempt.waited  # waiting takes none of its time
            attempt.heard, attempt.spent = not self.executor.schedules, self.executor.now() - attempt.started
            attempt.state = State.WORKING
            self.executor.let_in(number, attempt.needs)

    def _watch_clock(self) -> None:
        """End what has taken too long, or what is left when the grace period is over."""
        now = self.executor.now()
        for number, attempt in self._active.items():
            limit = attempt.job.timeout
            allowed = math.inf if limit is None else limit + (0.0 if attempt.heard else _BEGINNING)
            if attempt.ended_by is not None:
                if attempt.kill_at is not None and now >= attempt.kill_at:
                    attempt.kill_at = None
                    self.executor.stop(number, kill=True)
            elif self._stop_at is not None and (now >= self._stop_at or attempt.state is not State.WORKING):
                self._end(number, ReasonReport("stopped", "the batch was told to stop"))
            elif self._works(attempt) and now - attempt.started > allowed:
                remedies = ("--timeout   allows more",)
                self._end(number, ReasonReport("timeout", f"it took longer than {limit:g} s", remedies=remedies))

    def _works(self, attempt: Attempt) -> bool:
        """Whether time passes for an attempt: it does not while it waits for memory, or for a place in a cluster."""
        return attempt.state is not State.WAITING and (attempt.heard or not self.executor.schedules)

    def _end(self, number: int, reason: ReasonReport) -> None:
        """Tell a job to stop; it is ended if it does not."""
        attempt = self._active[number]
        attempt.ended_by = reason
        attempt.kill_at = self.executor.now() + min(_CLEANING, self.grace * 0.2)
        self.executor.stop(number, kill=False)

    def _conclude(self, attempt: Attempt, event: Event) -> None:
        """What the end of an attempt means: a result, or another attempt."""
        job = attempt.job
        if isinstance(event, Converted):
            self._keep(attempt, event.report, event.files)
            return
        if not isinstance(event, Raised):  # which comes from a process that has cleaned up itself
            with suppress(OSError):  # its parents may never have been made
                remove_stale(job.writing.out)
        if attempt.ended_by is not None:
            stopped = attempt.ended_by.code == "stopped"
            status = Status.PENDING if stopped else Status.FAILED
            self._keep(attempt, blank(job, status, None if stopped else attempt.ended_by))
        elif isinstance(event, Raised) and not event.passing:
            self._keep(attempt, blank(job, Status.REFUSED if event.lasting else Status.FAILED, event.reason))
        else:
            self._again(attempt, event)

    def _again(self, attempt: Attempt, event: Event) -> None:
        """Another attempt after a fault that can pass, if there is one left."""
        reason = event.reason if isinstance(event, Raised) else ReasonReport("lost", why_lost(event))
        if self.stops and not isinstance(event, Raised):  # the signal that reached us may have reached its process
            self._keep(attempt, blank(attempt.job, Status.PENDING))
            return
        if attempt.count > attempt.job.retries:
            self._keep(attempt, blank(attempt.job, Status.FAILED, reason))
            return
        delay = min(_FIRST_DELAY * 2 ** (attempt.count - 1), _LONGEST_DELAY) * random.uniform(0.5, 1.0)  # noqa: S311
        alone = attempt.alone or (isinstance(event, Lost) and not self.executor.schedules)
        job = attempt.job
        if isinstance(event, Lost) and job.name in self.past.ours:
            # On a machine that is only believed to be gone, it may come to its end even now.
            job = replace(job, writing=replace(job.writing, force=True))
        following = Attempt(job, attempt.key, attempt.count + 1, alone)
        heapq.heappush(self._later, (self.executor.now() + delay, id(following), following))
        self.observer.again(attempt.job.name, reason.what, delay)

    def _keep(self, attempt: Attempt, job: JobReport, files: Mapping[str, int] | None = None) -> None:
        """A result: written down, told, remembered."""
        tried = attempt.started > 0
        made = replace(
            job,
            attempts=self._attempts(attempt),
            seconds=round(self.executor.now() - attempt.started, 3) if tried else 0.0,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if made.status is not Status.PENDING:
            self.journal.finished(attempt.key, made, files or {})
        self.results[made.name] = made
        self.observer.finished(made)

    def _attempts(self, attempt: Attempt) -> int:
        return self.past.attempts.get((attempt.job.name, attempt.key), 0)
