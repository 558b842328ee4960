"""What a batch would do, for people and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from ckpt2hf.cli.batch_words import middle
from ckpt2hf.cli.console import OUT, rows
from ckpt2hf.cli.show_batch import show_reasons, skipped_rows
from ckpt2hf.report import JobReport, Status, plain_tree
from ckpt2hf.report.wording import counted, size, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report import SkippedReport
    from ckpt2hf.report.batch import Means, PlannedJob

_GAP = "  "
_SHORTEST = 16
"""Columns of a name, at least; on a terminal it gets what the others leave."""
_RIGHT = {"source", "writes", "memory"}


def show_dry_run(planned: Sequence[PlannedJob], skipped: Sequence[SkippedReport], means: Means) -> None:
    """A table of what would be converted, what would be refused and why, and whether there is room for it."""
    if good := [job for job in planned if job.problem is None]:
        _table(good)
        OUT.print()
    rows(_totals(planned, means))
    rows(skipped_rows(skipped))
    show_reasons([_refused(job) for job in planned if job.problem is not None])


def dry_run_json(planned: Sequence[PlannedJob], skipped: Sequence[SkippedReport], means: Means) -> dict[str, Any]:
    """The same as data."""
    tree: dict[str, Any] = plain_tree(
        {
            "jobs": tuple(planned),
            "skipped": tuple(skipped),
            "means": means,
            "counts": {
                "convertible": sum(job.problem is None for job in planned),
                "refused": sum(job.problem is not None for job in planned),
            },
            "output_bytes": sum(job.output_bytes for job in planned),
            "largest_memory_bytes": max((job.memory_bytes for job in planned), default=0),
        }
    )
    return tree


def _table(planned: Sequence[PlannedJob]) -> None:
    cells = [_cells(job) for job in planned]
    heads = list(cells[0])
    widths = {head: max(len(head), *(cell_len(row[head]) for row in cells)) for head in heads}
    others = sum(widths[head] + len(_GAP) for head in heads[1:])
    if OUT.is_terminal:
        widths["checkpoint"] = min(widths["checkpoint"], max(OUT.width - others, _SHORTEST))
    OUT.print(Text(_line(dict(zip(heads, heads, strict=True)), widths), "dim"))
    for row in cells:
        OUT.print(Text(_line(row, widths)))


def _cells(job: PlannedJob) -> dict[str, str]:
    """One line by its headings; a further column is one more entry."""
    return {
        "checkpoint": visible(job.name),
        "source": size(job.source_bytes),
        "writes": size(job.output_bytes),
        "memory": size(job.memory_bytes),
        "dialect": visible(job.dialect or ""),
        "proves": job.level,
    }


def _line(row: dict[str, str], widths: dict[str, int]) -> str:
    parts = []
    for head, width in widths.items():
        shown = middle(row[head], width)
        space = " " * (width - cell_len(shown))
        parts.append(space + shown if head in _RIGHT else shown + space)
    return _GAP.join(parts).rstrip()


def _totals(planned: Sequence[PlannedJob], means: Means) -> Iterator[tuple[str, str, str]]:
    good = [job for job in planned if job.problem is None]
    refused = f", {len(planned) - len(good):,} would be refused" if len(good) < len(planned) else ""
    yield "batch", f"{len(good):,} of {counted(len(planned), 'checkpoint')} would be converted{refused}", "bold"
    for target in sorted({job.target for job in good if job.target}):
        yield "target", f"{target}: {counted(sum(job.target == target for job in good), 'checkpoint')}", ""
    writes = sum(job.output_bytes for job in good)
    full = writes > means.free_disk_bytes
    yield "disk", f"{size(writes)} to write, {size(means.free_disk_bytes)} free", "red" if full else ""
    if full:
        yield "", f"{size(writes - means.free_disk_bytes)} are missing", "red"
    largest = max(good, key=lambda job: job.memory_bytes, default=None)
    if largest:
        limit = f"of {size(means.memory_bytes)}, {counted(means.workers, 'worker')}"
        much = largest.memory_bytes > means.memory_bytes
        yield "memory", f"at most {size(largest.memory_bytes)} for one checkpoint, {limit}", "red" if much else ""
        if much:
            yield "", f"too little for {visible(largest.name)}", "red"


def _refused(job: PlannedJob) -> JobReport:
    return JobReport(
        name=job.name,
        source=job.source,
        source_bytes=job.source_bytes,
        status=Status.REFUSED,
        reason=job.problem,
        dialect=job.dialect,
    )
