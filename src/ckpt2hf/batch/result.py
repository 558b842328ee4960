"""The report of a batch: put together, and written where people look for it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ckpt2hf.batch.part import Part
from ckpt2hf.batch.state import state_of
from ckpt2hf.errors import NotFoundError
from ckpt2hf.report import BATCH_SCHEMA, BatchReport, JobReport, SkippedReport, Status, versions
from ckpt2hf.report.html import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from ckpt2hf.batch.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a report says besides the jobs."""

    inputs: Sequence[str]
    skipped: tuple[SkippedReport, ...]
    part: Part
    executor: str
    workers: int
    seconds: float
    interrupted: bool


def batch_report(jobs: Iterable[JobReport], out: Path, around: Circumstances) -> BatchReport:
    """The report of jobs that are done, in the order of their names."""
    ordered = marked(sorted(jobs, key=lambda job: job.name))
    counted = Counter(job.status for job in ordered)
    return BatchReport(
        schema=BATCH_SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        inputs=tuple(around.inputs),
        output=str(out),
        shard=str(around.part) if around.part.count > 1 else None,
        executor=around.executor,
        workers=around.workers,
        seconds=round(around.seconds, 3),
        interrupted=around.interrupted,
        counts={status.value: counted[status] for status in Status},
        jobs=ordered,
        skipped=around.skipped,
    )


def marked(jobs: Sequence[JobReport]) -> tuple[JobReport, ...]:
    """The jobs, each that has the bytes of an earlier one marked with its name."""
    first: dict[str, str] = {}
    made = []
    for job in jobs:
        name = first.setdefault(job.sha256, job.name) if job.sha256 else job.name
        made.append(replace(job, same_as=name if name != job.name else None))
    return tuple(made)


def collected(out: Path) -> BatchReport:
    """What the journals of an output directory say, of all parts together. Raises NotFoundError, OutputError."""
    past = state_of(out).past()
    if past is None:
        raise NotFoundError(
            f"no batch has worked in {out}", where=str(out), remedies=["the directory after -o of `ckpt2hf batch`"]
        )
    around = Circumstances(
        inputs=(), skipped=(), part=Part(), executor="journals", workers=0, seconds=0.0, interrupted=False
    )
    return batch_report([done.job for done in past.done.values()], out, around)


def write_report(report: BatchReport, state: State, part: Part) -> Path:
    """Writes `batch.json` and `batch.html`, each replaced as a whole; gives the page. Raises OutputError."""
    stem = "batch" if part.count == 1 else f"batch-{part.index}-of-{part.count}"
    text = json.dumps(report.as_json(), indent=1, ensure_ascii=False) + "\n"
    state.publish(f"{stem}.json", text)
    return state.publish(f"{stem}.html", render(report))
