"""One checkpoint of a batch, before anything is opened; and what is said about the batch as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.report import SkippedReport
    from ckpt2hf.run import Request, Writing


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One checkpoint of a batch."""

    name: str
    """Of its output directory below the batch's: parts joined by `/`; never the beginning of another job's parts."""
    request: Request
    """The checkpoint and what is said about it."""
    writing: Writing
    """Where and how it is written and proved."""
    files: tuple[Path, ...] = ()
    """Everything it is read from, as found; a change in any of them makes it another job."""
    nbytes: int
    """Size of its files, as found."""
    timeout: float | None = None
    """Seconds an attempt may take; None for as long as it needs."""
    retries: int = 2
    """Attempts after the first, for faults that can pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """What is said about the batch as a whole."""

    workers: int = 0
    """Jobs that run at the same time, at most; 0 for one per core."""
    memory: int | None = None
    """Bytes the jobs may use together; None for what the machine or the container allows."""
    grace: float = 8.0
    """Seconds running jobs get to finish when the batch is told to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What a batch is about."""

    jobs: tuple[Job, ...]
    """In the order of their names."""
    skipped: tuple[SkippedReport, ...]
    """Files that are no checkpoints, and why."""
    options: BatchOptions
    """From the manifest and the command line."""
