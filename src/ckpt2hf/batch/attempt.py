"""One try of one job, as the coordinator keeps track of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.batch.events import Lost
from ckpt2hf.report import JobReport, Status

if TYPE_CHECKING:
    from ckpt2hf.batch.events import Event
    from ckpt2hf.batch.job import Job
    from ckpt2hf.report import ReasonReport
    from ckpt2hf.run import Needs


class State(enum.Enum):
    """How far an attempt is."""

    PLANNING = enum.auto()
    WAITING = enum.auto()
    WORKING = enum.auto()


@dataclass(slots=True)
class Attempt:
    """One try of one job."""

    job: Job
    key: str
    count: int
    """1 for the first in this run."""
    alone: bool = False
    """Whether nothing else may run beside it, because its process was killed before."""
    state: State = State.PLANNING
    needs: Needs | None = None
    started: float = 0.0
    heard: bool = False
    spent: float = 0.0
    """Seconds it took before it waited for a place."""
    waited: float = 0.0
    told_to_wait: bool = False
    ended_by: ReasonReport | None = None
    """Why we ended it ourselves."""
    kill_at: float | None = None


def blank(job: Job, status: Status, reason: ReasonReport | None = None) -> JobReport:
    """A result without a conversion."""
    return JobReport(
        name=job.name, source=str(job.request.source), source_bytes=job.nbytes, status=status, reason=reason
    )


def why_lost(event: Event) -> str:
    """What is known of an attempt that ended without a result."""
    return event.why if isinstance(event, Lost) else "its process was told to stop by somebody else"
