"""One job in its own process: plans, says what it needs, waits to be let in, converts, says what came of it."""

from __future__ import annotations

import math
import resource
import signal
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.batch.events import Abandoned, Advanced, Converted, Phase, Planned
from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.place import is_about
from ckpt2hf.report import JobReport, ReasonReport, Status
from ckpt2hf.run import REPORT, convert

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from types import FrameType

    from ckpt2hf.batch.events import Event
    from ckpt2hf.batch.job import Job
    from ckpt2hf.report import Report
    from ckpt2hf.run import Needs

_TOLD_EVERY = 0.1
"""Seconds between two messages about progress."""
_VIRTUAL = 1 << 29
"""Memory that is set aside and never used: stacks of threads, arenas of the allocator."""


class _Stopped(BaseException):
    """SIGTERM, raised where the job is, so that unfinished work is removed on the way out."""


def run(job: Job, line: Connection) -> None:
    """The whole life of a job, told over `line`. Whatever goes wrong is the last thing that is told."""
    signal.signal(signal.SIGTERM, _stop)
    event: Event
    try:
        event = converted(job, line)
    except _Stopped:
        event = Abandoned()
    except Exception as error:  # noqa: BLE001 - the edge of the process
        event = judged(error)
        if is_about(error, job.writing.out):
            event = replace(event, lasting=False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    line.send(event)


def converted(job: Job, line: Connection) -> Converted:
    """What came of a job that could be carried out. Raises everything `convert` does."""

    def admit(needs: Needs) -> None:
        line.send(Planned(needs))
        line.recv()
        limit_memory(needs)

    report = convert(job.request, job.writing, _Told(line), admit=admit)
    return Converted(summary(job, report), _sizes(job.writing.out) if report.verdict.proved else {})


def limit_memory(needs: Needs) -> None:
    """Let this process take what it said it needs, and no more: the others need theirs."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
    # A weight file that PyTorch maps for itself counts as well, although it takes no memory.
    limit = held + needs.memory + needs.disk + _VIRTUAL
    _, highest = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if highest < 0 else min(limit, highest), highest))


def summary(job: Job, report: Report) -> JobReport:
    """What a batch keeps of a conversion's report."""
    verdict = report.verdict
    failed = [check for check in verdict.checks if not check.passed]
    reason = None
    if not verdict.proved:
        told = tuple(f"{check.name}: {check.summary}" for check in failed)
        remedies = ("ckpt2hf convert   with --reference, where the training code is at hand",)
        reason = ReasonReport("unproved", "the result was not proved and was removed", told, remedies=remedies)
    sizes = [file.bytes for file in report.files]
    digests = [file.sha256 for file in report.source.files]
    return JobReport(
        name=job.name,
        source=str(job.request.source),
        source_bytes=job.nbytes,
        status=Status.REFUSED if reason else Status.PROVED,
        reason=reason,
        peak_memory_bytes=report.peak_memory_bytes,
        output_bytes=0 if reason else sum(sizes),
        report=None if reason else f"{job.name}/{REPORT}",
        dialect=report.dialect.name,
        target=report.target,
        parameters=sum(math.prod(tensor.shape) for tensor in report.tensors),
        level=verdict.level,
        exactness=report.exactness,
        checks={check.name: check.summary for check in verdict.checks},
        warnings=(*(finding.message for finding in report.health), *report.notes),
        sha256=digests[0] if len(digests) == 1 else None,
    )


def _sizes(directory: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(directory.iterdir())}


@dataclass(slots=True)
class _Told:
    """A progress that goes over the line, not more often than somebody can look."""

    line: Connection
    pending: int = 0
    last: float = 0.0

    def phase(self, name: str, total: int) -> None:
        self._flush()
        self.line.send(Phase(name, total))

    def advance(self, nbytes: int) -> None:
        self.pending += nbytes
        if time.monotonic() - self.last >= _TOLD_EVERY:
            self._flush()

    def _flush(self) -> None:
        if self.pending:
            self.line.send(Advanced(self.pending))
            self.pending, self.last = 0, time.monotonic()


def _stop(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Stopped
