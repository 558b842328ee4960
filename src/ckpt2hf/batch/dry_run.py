"""What a batch would do: every checkpoint planned, nothing written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.batch.admission import room
from ckpt2hf.batch.faults import judged
from ckpt2hf.batch.local import places
from ckpt2hf.batch.state import state_of
from ckpt2hf.errors import Ckpt2hfError
from ckpt2hf.report.batch import Means, PlannedJob
from ckpt2hf.run import needs, plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.batch.admission import Room
    from ckpt2hf.batch.job import Gathered, Job
    from ckpt2hf.batch.part import Part


def planned(gathered: Gathered, out: Path, part: Part) -> Iterator[PlannedJob]:
    """What would become of each job of a part, as far as names, shapes and metadata tell."""
    there = room(state_of(out).free, gathered.options.memory)
    for job in gathered.jobs:
        if part.has(job.name):
            yield _planned(job, there)


def means(gathered: Gathered, out: Path) -> Means:
    """What there is for the jobs."""
    there = room(state_of(out).free, gathered.options.memory)
    return Means(
        free_disk_bytes=there.free() if there.free else 0,
        memory_bytes=there.memory.nbytes if there.memory else 0,
        workers=places(gathered.options.workers, len(gathered.jobs)),
    )


def _planned(job: Job, there: Room) -> PlannedJob:
    source, level = str(job.request.source), job.writing.level.value
    try:
        made = plan(job.request)
        needed = needs(made, job.writing)
    except Ckpt2hfError as error:
        return PlannedJob(
            name=job.name,
            source=source,
            source_bytes=job.nbytes,
            dialect=None,
            target=None,
            level=level,
            output_bytes=0,
            memory_bytes=0,
            problem=judged(error).reason,
        )
    refusal = there.never(needed)
    return PlannedJob(
        name=job.name,
        source=source,
        source_bytes=job.nbytes,
        dialect=made.candidate.fit.dialect.name,
        target=made.target.hf_class,
        level=level,
        output_bytes=0 if refusal else needed.disk,
        memory_bytes=needed.memory + needed.libraries,
        problem=judged(refusal).reason if refusal else None,
    )
