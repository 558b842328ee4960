"""The one report of a batch: a frozen tree, written as `batch.json`, shown by the command line and as `batch.html`."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.report.report import plain_tree

if TYPE_CHECKING:
    from ckpt2hf.errors import Ckpt2hfError

BATCH_SCHEMA = 1
"""Version of the tree; it grows with every change that a reader could trip over."""


class Status(enum.StrEnum):
    """What became of one checkpoint of a batch."""

    PROVED = "proved"
    """Converted, and the proof holds."""
    REFUSED = "refused"
    """A fact about this checkpoint and these options: saying the same again gives the same answer."""
    FAILED = "failed"
    """Something around it went wrong: disk, memory, time, a dead process. The next batch tries again."""
    PENDING = "pending"
    """Not tried, or not to the end, when the batch stopped."""


@dataclass(frozen=True, slots=True)
class ReasonReport:
    """Why a checkpoint was not converted: the parts of an error, as `ckpt2hf convert` shows them."""

    code: str
    """The class of the error, as in docs/errors.md; `unproved` for a negative verdict."""
    what: str
    """What is wrong, in a line."""
    details: tuple[str, ...] = ()
    """The particulars."""
    where: str | None = None
    """The place."""
    tried: str | None = None
    """What was tried."""
    remedies: tuple[str, ...] = ()
    """What may help, the likeliest first."""


def reason_of(error: Ckpt2hfError) -> ReasonReport:
    """An error as a report has it."""
    return ReasonReport(error.code, error.what, error.details, error.where, error.tried, error.remedies)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """One checkpoint of a batch."""

    name: str
    """Of its output directory, relative to the batch's; the same in every run over the same inputs."""
    source: str
    """Path or URL of the checkpoint."""
    source_bytes: int
    """Size of its files."""
    status: Status
    """What became of it."""
    reason: ReasonReport | None = None
    """Why it is not proved; null when it is."""
    attempts: int = 0
    """How often it was tried, over all runs."""
    seconds: float = 0.0
    """Wall clock of the last attempt."""
    peak_memory_bytes: int = 0
    """Largest resident memory of its process, mapped files included."""
    finished: str | None = None
    """UTC, ISO 8601."""
    earlier: bool = False
    """Whether an earlier run did it and this one found nothing to do."""
    output_bytes: int = 0
    """Size of the files that were written."""
    report: str | None = None
    """The report of the conversion, relative to the batch's directory."""
    dialect: str | None = None
    """What it was read as."""
    target: str | None = None
    """The Hugging Face class."""
    parameters: int = 0
    """Numbers in the written model, shared ones once."""
    level: str | None = None
    """How much was proved."""
    exactness: str | None = None
    """`bitwise`, `algebraic`, `numerically equal` or `rounded`."""
    checks: dict[str, str] | None = None
    """The sentence of each check, by its name."""
    warnings: tuple[str, ...] = ()
    """What is suspicious about the weights themselves, and the notes of the conversion's report."""
    sha256: str | None = None
    """Of the source, where it is one file."""
    same_as: str | None = None
    """Name of an earlier job whose source holds the same bytes."""


@dataclass(frozen=True, slots=True)
class SkippedReport:
    """A file that is no checkpoint."""

    path: str
    """As it was found."""
    why: str
    """Such as `optimizer state`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReport:
    """Everything about one batch. What it says of an earlier run it says from that run's journal."""

    schema: int
    """Version of this tree."""
    created: str
    """UTC, ISO 8601."""
    versions: dict[str, str]
    """ckpt2hf, Python and the packages that wrote or proved."""
    inputs: tuple[str, ...]
    """As the user gave them."""
    output: str
    """As the user gave it."""
    shard: str | None
    """`i/n`, where the work was split; the jobs are those of this part."""
    executor: str
    """`local`, or where the jobs ran."""
    workers: int
    """Jobs that ran at the same time, at most."""
    seconds: float
    """Wall clock of this run."""
    interrupted: bool
    """Whether the batch was told to stop before it was through."""
    counts: dict[str, int]
    """Jobs by status."""
    jobs: tuple[JobReport, ...]
    """In the order of their names."""
    skipped: tuple[SkippedReport, ...]
    """Files that are no checkpoints, and why."""

    def as_json(self) -> dict[str, Any]:
        """The tree as plain JSON values."""
        tree: dict[str, Any] = plain_tree(self)
        return tree


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedJob:
    """What a dry run says of one checkpoint: nothing of it is written."""

    name: str
    """Of its output directory, relative to the batch's."""
    source: str
    """Path or URL of the checkpoint."""
    source_bytes: int
    """Size of its files."""
    dialect: str | None
    """What it would be read as."""
    target: str | None
    """The Hugging Face class."""
    level: str
    """How much would be proved."""
    output_bytes: int
    """What would be written; 0 when it would be refused."""
    memory_bytes: int
    """What it would need at most."""
    problem: ReasonReport | None
    """Why it would be refused; null when it would be converted, as far as names, shapes and metadata tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a batch can use."""

    free_disk_bytes: int
    """Where the output goes."""
    memory_bytes: int
    """For all jobs together."""
    workers: int
    """Jobs that run at the same time, at most."""
