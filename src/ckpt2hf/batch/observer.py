"""Who is told how far a batch is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report import JobReport, SkippedReport


class Observer(Protocol):
    """Who is told how far a batch is. Called from one thread; jobs are called by the name of their output.

    The order for one job is: `started`, any number of `phase` and `advanced`, then `finished` or `again` (after which
    it is started once more). A job that an earlier run did is only `finished`.
    """

    def begin(self, names: Sequence[str], nbytes: int, skipped: Sequence[SkippedReport], workers: int) -> None:
        """The batch begins: its jobs, the size of their sources, and the files that are no checkpoints."""
        ...

    def started(self, name: str, attempt: int) -> None:
        """An attempt begins, counted from 1."""
        ...

    def waiting(self, name: str, why: str) -> None:
        """A job is planned and waits for memory or disk."""
        ...

    def phase(self, name: str, phase: str, total: int) -> None:
        """A phase (`read`, `write`, `bytes`, `logits` …) of a job begins; `total` bytes lie ahead, 0 when unknown."""
        ...

    def advanced(self, name: str, nbytes: int) -> None:
        """So many more bytes of the phase are done."""
        ...

    def again(self, name: str, why: str, delay: float) -> None:
        """An attempt failed of something that can pass; the next begins in `delay` seconds."""
        ...

    def finished(self, job: JobReport) -> None:
        """A job is done, whatever came of it."""
        ...

    def stopping(self, why: str, grace: float) -> None:
        """The batch was told to stop: nothing new begins, and what runs has `grace` seconds."""
        ...

    def end(self) -> None:
        """The batch is over."""
        ...


class Silent:
    """An observer that nobody listens to."""

    def begin(self, names: Sequence[str], nbytes: int, skipped: Sequence[SkippedReport], workers: int) -> None:
        """Nothing."""

    def started(self, name: str, attempt: int) -> None:
        """Nothing."""

    def waiting(self, name: str, why: str) -> None:
        """Nothing."""

    def phase(self, name: str, phase: str, total: int) -> None:
        """Nothing."""

    def advanced(self, name: str, nbytes: int) -> None:
        """Nothing."""

    def again(self, name: str, why: str, delay: float) -> None:
        """Nothing."""

    def finished(self, job: JobReport) -> None:
        """Nothing."""

    def stopping(self, why: str, grace: float) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""
