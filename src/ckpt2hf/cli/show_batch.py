"""The end of a batch, for people: how many of what, what stands in the way, and where the page is."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.text import Text

from ckpt2hf.cli.batch_words import STYLES
from ckpt2hf.cli.console import ERR, OUT, rows
from ckpt2hf.report import Status
from ckpt2hf.report.reasons import grouped, ways
from ckpt2hf.report.wording import counted, duration, size, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from ckpt2hf.report import BatchReport, JobReport, SkippedReport
    from ckpt2hf.report.reasons import ReasonGroup

_REASONS = 8
"""Reasons that are shown; the page has all of them."""
_DETAILS = 4
"""Particulars of a reason that are shown."""
_WAYS = 3
"""Remedies of a reason that are shown."""
_KINDS = 4
"""Kinds of skipped files that are shown."""

Row = tuple[str, str, str]


def show_batch(report: BatchReport, page: Path, *, quiet: bool) -> None:
    """The summary on stdout; that something is left to do also when quiet, in a line on stderr."""
    if not quiet:
        rows(_counts(report))
        rows(skipped_rows(report.skipped))
        show_reasons(report.jobs)
        rows([("report", str(page), "")])
    left = [(status, report.counts.get(status.value, 0)) for status in Status if status is not Status.PROVED]
    if told := ", ".join(f"{count:,} {status.value}" for status, count in left if count):
        of = f" of {counted(len(report.jobs), 'checkpoint')}"
        ERR.print(Text.assemble(("error[batch]", "bold red"), f": {told}{of}{f'; see {page}' if quiet else ''}"))


def show_reasons(jobs: Sequence[JobReport]) -> None:
    """What stands in the way of how many, with what may help."""
    groups = grouped(jobs)
    for group in groups[:_REASONS]:
        OUT.print()
        rows(_reason(group))
    if hidden := len(groups) - _REASONS:
        rows([("", f"and {counted(hidden, 'more reason')}", "dim")] if hidden > 0 else [])
    if groups:
        OUT.print()


def skipped_rows(skipped: Sequence[SkippedReport]) -> Iterator[Row]:
    """How many files are no checkpoints, and why."""
    if skipped:
        kinds = Counter(each.why for each in skipped).most_common()
        told = [f"{count:,} {visible(why)}" for why, count in kinds[:_KINDS]]
        more = ["…"] if len(kinds) > _KINDS else []
        yield "skipped", f"{counted(len(skipped), 'file')}: {', '.join([*told, *more])}", "dim"


def _counts(report: BatchReport) -> Iterator[Row]:
    at_once = counted(report.workers, "worker")
    part = f", part {report.shard}" if report.shard else ""
    yield "batch", f"{report.output}  ({counted(len(report.jobs), 'checkpoint')}{part})", ""
    yield "time", f"{duration(report.seconds)} with {at_once}, {report.executor}", ""
    for status in Status:
        jobs = [job for job in report.jobs if job.status is status]
        if jobs or status is Status.PROVED:
            yield status.value, f"{len(jobs):,}{_besides(jobs)}", STYLES[status] if jobs else "dim"
    if report.interrupted:
        yield "", "stopped before it was through; the same command goes on from here", "yellow"


def _besides(jobs: Iterable[JobReport]) -> str:
    """What was written, and what an earlier run did."""
    written = earlier = 0
    for job in jobs:
        written += job.output_bytes
        earlier += job.earlier
    told = [f"{size(written)} written"] if written else []
    told += [f"{earlier:,} by an earlier run"] if earlier else []
    return f"  ({', '.join(told)})" if told else ""


def _reason(group: ReasonGroup) -> Iterator[Row]:
    reason, first = group.reason, group.jobs[0]
    yield group.status.value, f"{len(group.jobs):,}  {visible(f'{reason.code}: {group.what}')}", STYLES[group.status]
    yield from (("", visible(detail), "") for detail in group.details[:_DETAILS])
    yield "such as" if len(group.jobs) > 1 else "in", visible(first.source), "dim"
    known = [way for remedy in reason.remedies for way in ways(remedy)]
    for k, (words, remark) in enumerate(known[:_WAYS]):
        yield "or" if k else "next", f"{visible(words)}   {visible(remark)}".rstrip(), ""
    if hidden := max(len(known) - _WAYS, 0):
        yield "", f"and {counted(hidden, 'other way')}", "dim"
