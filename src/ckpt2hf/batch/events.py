"""What an executor tells the coordinator, and what it is told: the whole conversation about one job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.batch.job import Job
    from ckpt2hf.report import JobReport, ReasonReport
    from ckpt2hf.run import Needs


@dataclass(frozen=True, slots=True)
class Planned:
    """The job knows what it needs, and waits to be let in."""

    needs: Needs


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase of the conversion begins; `total` bytes lie ahead, 0 when unknown."""

    name: str
    total: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """So many more bytes of the phase are done."""

    nbytes: int


@dataclass(frozen=True, slots=True)
class Converted:
    """The conversion came to its end; its verdict may be negative."""

    report: JobReport
    """What the conversion itself knows of it."""
    files: Mapping[str, int]
    """What was written, by name: sizes in bytes."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The conversion ended with an error."""

    reason: ReasonReport
    lasting: bool
    """Whether the same job would end the same way again."""
    passing: bool
    """Whether trying again in a moment may help."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The job's process ended without a word: killed, crashed, or gone with its machine."""

    why: str


@dataclass(frozen=True, slots=True)
class Abandoned:
    """The job was told to stop, and did."""


Event: TypeAlias = Planned | Phase | Advanced | Converted | Raised | Lost | Abandoned
"""Anything that is heard about a job. `Converted`, `Raised`, `Lost` and `Abandoned` are the last of it."""


class Executor(Protocol):
    """Where jobs run. Each job has a number of its own here, given by `start`."""

    name: str
    """As the report calls it."""
    slots: int
    """Jobs that can run at the same time."""
    schedules: bool
    """Whether it finds a place and memory for jobs by itself. Then a job that was let in may have to wait for them, and
    its time goes on with the next that is heard of it."""

    def start(self, job: Job) -> int:
        """Begin a job; it plans, says `Planned`, and waits."""
        ...

    def let_in(self, number: int, needs: Needs) -> None:
        """Let a planned job go on, with the memory it said it needs."""
        ...

    def stop(self, number: int, *, kill: bool) -> None:
        """Tell a job to clean up and end, or end it at once. Its last event still comes."""
        ...

    def wait(self, timeout: float) -> Sequence[tuple[int, Event]]:
        """What was heard, by job, once there is something; nothing after `timeout` seconds or a signal."""
        ...

    def now(self) -> float:
        """Seconds on the clock that `wait` waits by."""
        ...

    def close(self) -> None:
        """End everything that still runs, and give back what was taken."""
        ...
