"""The use case: every checkpoint of a batch, once, whatever happened before and whatever happens meanwhile."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ckpt2hf.batch import admission
from ckpt2hf.batch.coordinator import Coordinator
from ckpt2hf.batch.journal import Past
from ckpt2hf.batch.local import local_executor
from ckpt2hf.batch.observer import Silent
from ckpt2hf.batch.part import Part
from ckpt2hf.batch.result import Circumstances, batch_report, write_report
from ckpt2hf.batch.state import state_of
from ckpt2hf.output import write_whole
from ckpt2hf.report import prometheus
from ckpt2hf.verify import require

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ckpt2hf.batch.events import Executor
    from ckpt2hf.batch.job import Gathered, Job
    from ckpt2hf.batch.journal import Record
    from ckpt2hf.batch.observer import Observer
    from ckpt2hf.batch.state import State
    from ckpt2hf.report import BatchReport


@dataclass(slots=True, kw_only=True)
class Batch:
    """A batch that can be run once, and stopped meanwhile from a signal handler."""

    gathered: Gathered
    inputs: Sequence[str]
    """As the user gave them."""
    out: Path
    """A directory, or a URL."""
    observer: Observer = field(default_factory=Silent)
    part: Part = field(default_factory=Part)
    force: bool = False
    """Whether model directories are replaced that no batch here has made."""
    wait: float | None = None
    """Seconds to wait for another batch on the same output; None for what the remains of a killed one may take."""
    executor: Callable[[Sequence[Job]], Executor] | None = None
    """Makes what runs the jobs; None for this machine."""
    metrics: Path | None = None
    """Where to write the Prometheus textfile."""
    scratch: Path | None = None
    """Where results for a URL are made; None for where TMPDIR says."""
    page: Path | None = None
    """Where the report was written for people."""
    _stops: list[str] = field(default_factory=list)

    def run(self) -> BatchReport:
        """The report, which is also written.

        Raises OutputError when journal or report cannot be written, UsageError while another batch holds the output,
        VerificationError when a proof's libraries are absent.
        """
        began = time.monotonic()
        jobs = [self._settled(job) for job in self.gathered.jobs if self.part.has(job.name)]
        for level in {job.writing.level for job in jobs}:
            require(level)
        state = state_of(self.out, self.scratch)
        with state.held(self.part, self.wait, self._waiting) as held:
            with state.record(self.part) as record:
                coordinator = self._through(jobs, state, record, held)
            around = Circumstances(
                inputs=self.inputs,
                skipped=self.gathered.skipped,
                part=self.part,
                executor=coordinator.executor.name,
                workers=coordinator.executor.slots,
                seconds=time.monotonic() - began,
                interrupted=bool(self._stops),
            )
            report = batch_report(coordinator.results.values(), self.out, around)
            self.page = write_report(report, state, self.part)
        if self.metrics is not None:
            hidden = self.metrics.with_name(f".{self.metrics.name}.partial")
            write_whole(self.metrics, prometheus.render(report), hidden)
        return report

    def stop(self, why: str) -> None:
        """Begin nothing new; what runs has the grace period. Said twice, it has none. Safe in a signal handler."""
        self._stops.append(why)

    def _through(self, jobs: Sequence[Job], state: State, record: Record, held: tuple[int, ...]) -> Coordinator:
        """The coordinator of the jobs, at the end of them all."""
        options = self.gathered.options
        places = [job.writing.out for job in jobs]
        state.clean(places)
        past = state.past() or Past()
        room = admission.room(state.free, options.memory)
        make = self.executor or partial(local_executor, workers=options.workers, room=room, held=held)
        executor = make(jobs)
        if executor.schedules:
            room = admission.room(state.free, options.memory, elsewhere=True)
        coordinator = Coordinator(executor, record, past, self.observer, room, options.grace, self._stops)
        names = [job.name for job in jobs]
        self.observer.begin(names, sum(job.nbytes for job in jobs), self.gathered.skipped, executor.slots)
        try:
            coordinator.run(jobs)
        finally:
            self.observer.end()
            executor.close()
            state.clean(places)  # after jobs that were ended by force
        return coordinator

    def _settled(self, job: Job) -> Job:
        """The job with what was said to the batch."""
        writing = replace(job.writing, force=self.force or job.writing.force, scratch=self.scratch)
        return replace(job, writing=writing)

    def _waiting(self) -> None:
        self.observer.stopping("another batch is working on this output directory; waiting for it", self.wait or 0.0)
