"""The page around the table: what became of the batch at a glance, and everything it takes to look closer."""

from __future__ import annotations

import functools
from string import Template
from typing import TYPE_CHECKING

from ckpt2hf.report.batch import Status
from ckpt2hf.report.html import escaping, rows
from ckpt2hf.report.html.columns import COLUMNS, MARKS, ranks
from ckpt2hf.report.html.frame import framed, part
from ckpt2hf.report.reasons import grouped, ways
from ckpt2hf.report.wording import counted, duration, moment, size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.report.batch import BatchReport

_BAR = 1000
"""Units of the bar's width."""
_MANY = 500
"""Rows above which a browser need not lay out those that cannot be seen."""
_THINNEST = 6
"""Units below which a part of the bar could not be seen."""


def render(report: BatchReport) -> str:
    """The page, which names no file but the reports beside it. Without lone surrogates: it can be written as UTF-8."""
    order = ranks(report.jobs)
    groups = grouped(report.jobs)
    place = {job.name: k for k, job in enumerate(report.jobs)}
    remedies = dict.fromkeys(r for job in report.jobs if job.reason for r in job.reason.remedies)
    shown = {
        "ranks": order,
        "groups": {g.id: [place[job.name] for job in g.jobs] for g in groups},
        "ways": {remedy: ways(remedy) for remedy in remedies},
    }
    body = Template(part("page.html")).substitute(
        output=escaping.name(report.output),
        mark=MARKS[_worst(report)],
        worst=_worst(report).value,
        headline=_headline(report),
        verdict=_verdict(report),
        bar=_bar(report),
        tiles=_tiles(report),
        particulars="".join(f"<div><dt>{label}</dt><dd>{said}</dd></div>" for label, said in _particulars(report)),
        reasons_hidden="" if groups else "hidden",
        reasons=rows.reason_rows(groups),
        dialects=rows.options((job.dialect for job in report.jobs), "none"),
        codes=rows.options((job.reason.code if job.reason else None for job in report.jobs), "no reason"),
        headings=rows.headings(),
        many="many" if len(report.jobs) > _MANY else "",
        jobs=rows.job_rows(report.jobs, sorted(range(len(report.jobs)), key=order["name"].__getitem__)),
        skipped_hidden="" if report.skipped else "hidden",
        skipped_count=f"{counted(len(report.skipped), 'file')} that {'is' if len(report.skipped) == 1 else 'are'} "
        f"no checkpoint{'s' * (len(report.skipped) != 1)}",
        skipped_kinds=rows.skipped_kinds(report.skipped),
        skipped=rows.skipped_rows(report.skipped),
        report=escaping.data(report.as_json()),
        shown=escaping.data(shown),
    )
    return framed(f"{_headline(report)} · {report.output}", body, _style(), part("page.js"))


@functools.cache
def _style() -> str:
    """The style sheet, with the widths of the columns and their names for narrow screens."""
    labels = "\n".join(f'  .c-{c.key}:not(:empty)::before {{ content: "{c.title.lower()} "; }}' for c in COLUMNS[1:])
    return Template(part("page.css")).substitute(tracks=" ".join(c.width for c in COLUMNS), labels=labels)


def _count(report: BatchReport, status: Status) -> int:
    return report.counts.get(status.value, 0)


def _worst(report: BatchReport) -> Status:
    """The status that speaks for the batch: the one that most needs a person."""
    return next((status for status in MARKS if _count(report, status)), Status.PROVED)


def _headline(report: BatchReport) -> str:
    total, proved = len(report.jobs), _count(report, Status.PROVED)
    if not total:
        return "No checkpoints were found"
    if proved == total:
        return "The checkpoint is proved" if total == 1 else f"All {total:,} checkpoints are proved"
    return f"{proved:,} of {counted(total, 'checkpoint')} {'is' if proved == 1 else 'are'} proved"


def _verdict(report: BatchReport) -> str:
    """What that means, in a sentence."""
    if report.interrupted:
        return "The batch was stopped before it was through; the next run goes on from here."
    said = {
        Status.PROVED: "Each output computes the same function as its checkpoint.",
        Status.REFUSED: "Nothing went wrong on the way; what was refused says why, and what may help.",
        Status.FAILED: "Something around some checkpoints went wrong; the next run tries them again.",
        Status.PENDING: "Some checkpoints were not tried yet.",
    }
    return said[_worst(report)] if report.jobs else "Nothing below the inputs looks like a checkpoint."


def _bar(report: BatchReport) -> str:
    """The statuses as parts of a line. Widths are attributes: the page's policy allows no style in them."""
    parts, at = [], 0.0
    total = max(len(report.jobs), 1)
    present = [status for status in Status if _count(report, status)]
    widths = {status: max(_count(report, status) / total * _BAR, _THINNEST) for status in present}
    scale = _BAR / max(sum(widths.values()), 1)
    for status in present:
        width = widths[status] * scale
        parts.append(f'<rect class={status.value} x="{at:.1f}" width="{width:.1f}" height="8"/>')
        at += width
    return "".join(parts)


def _tiles(report: BatchReport) -> str:
    """A count and filter for each status."""
    return "".join(
        f'<li class="{status.value}{" none" * (not _count(report, status))}">'
        f"<button type=button data-status={status.value} aria-pressed=false>"
        f"<b class=number>{_count(report, status):,}</b> "
        f"<span><i>{MARKS[status]}</i> {status.value}</span></button></li>"
        for status in Status
    )


def _particulars(report: BatchReport) -> Iterator[tuple[str, str]]:
    earlier = sum(job.earlier for job in report.jobs)
    yield "sources", size(sum(job.source_bytes for job in report.jobs))
    yield "written", size(sum(job.output_bytes for job in report.jobs))
    yield "time", f"{duration(report.seconds)}, {counted(report.workers, 'worker')}, {escaping.text(report.executor)}"
    if earlier:
        yield "done before", counted(earlier, "checkpoint")
    if report.shard:
        yield "part", escaping.text(report.shard)
    yield "finished", f"{escaping.text(moment(report.created))}"
    yield "from", ", ".join(escaping.name(each) for each in report.inputs)
    yield "with", escaping.text(", ".join(f"{name} {version}" for name, version in report.versions.items()))
