"""The parts of the page that repeat: headings, a row for each job, reasons, files that are no checkpoints."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ckpt2hf.report.html import escaping
from ckpt2hf.report.html.columns import COLUMNS, MARKS
from ckpt2hf.report.reasons import ways
from ckpt2hf.report.wording import counted, moment, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ckpt2hf.report.batch import JobReport, ReasonReport, SkippedReport
    from ckpt2hf.report.reasons import ReasonGroup

_DETAILS = 3
"""Particulars that are shown of a group."""


def headings() -> str:
    """The heads of the columns."""
    return "\n".join(
        f'<th scope=col role=columnheader data-key={column.key} class="c-{column.key}{" number" * column.numeric}"'
        f"{' data-numeric' * column.numeric}><button type=button>{column.title}</button></th>"
        for column in COLUMNS
    )


def job_row(k: int, job: JobReport) -> str:
    """One job; `k` is its place in the report."""
    first, *others = COLUMNS
    cells = "".join(
        f'<td role=cell class="c-{c.key}{" number" * c.numeric}">{cell}</td>' if (cell := c.cell(job)) else
        f"<td role=cell class=c-{c.key}></td>"
        for c in others
    )  # fmt: skip
    return (
        f'<tr role=row id=j{k} data-k={k} class="{job.status.value}{" earlier" * job.earlier}">'
        f"<th scope=row role=rowheader class=c-{first.key} id=n{k}>"
        f"<button type=button class=toggle aria-expanded=false aria-labelledby=n{k}></button>{first.cell(job)}</th>"
        f"{cells}<td role=cell class=plain><noscript>{_plain(job)}</noscript></td></tr>"
    )


def _plain(job: JobReport) -> str:
    """What the columns do not show, for readers without JavaScript."""
    told = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in _particulars(job))
    return f"<details><summary>details</summary><dl>{told}</dl></details>"


def _particulars(job: JobReport) -> Iterator[tuple[str, str]]:
    yield "source", escaping.name(job.source)
    if job.reason:
        yield from _reason(job.reason)
    facts = {"sha256": job.sha256, "same as": job.same_as, "target": job.target}
    yield from ((label, escaping.name(value)) for label, value in facts.items() if value)
    if job.finished:
        yield "finished", escaping.text(moment(job.finished))
    if job.peak_memory_bytes:
        yield "memory", size(job.peak_memory_bytes)
    if job.attempts > 1:
        yield "attempts", str(job.attempts)
    for check, said in (job.checks or {}).items():
        yield escaping.text(check), escaping.text(said)


def _reason(reason: ReasonReport) -> Iterator[tuple[str, str]]:
    if reason.details:
        yield "because", "<br>".join(escaping.text(line) for line in reason.details)
    if reason.where:
        yield "in", escaping.name(reason.where)
    if reason.tried:
        yield "tried", escaping.text(reason.tried)
    for k, (words, remark) in enumerate(way for remedy in reason.remedies for way in ways(remedy)):
        yield "or" if k else "next", f"<code>{escaping.lines(words)}</code> {escaping.text(remark)}"


def reason_rows(groups: Iterable[ReasonGroup]) -> str:
    """What stands in the way of how many, with what may help."""
    return "\n".join(
        f"<li class={group.status.value}><button type=button data-group={group.id} aria-pressed=false>"
        f"<b class=number>{len(group.jobs):,}</b> <i>{MARKS[group.status]}</i> "
        f"<span><em>{escaping.text(group.reason.code)}</em> {escaping.text(group.what)}"
        f"{_details(group)}</span></button>{_first_way(group.reason)}</li>"
        for group in groups
    )


def _details(group: ReasonGroup) -> str:
    return "".join(f"<small>{escaping.text(line)}</small>" for line in group.details[:_DETAILS])


def _first_way(reason: ReasonReport) -> str:
    known = [words for remedy in reason.remedies for words, _ in ways(remedy)]
    if not known:
        return ""
    more = f" <small>or {counted(len(known) - 1, 'other way')}</small>" if len(known) > 1 else ""
    return f"<p><code>{escaping.lines(known[0])}</code>{more}</p>"


def skipped_rows(skipped: Iterable[SkippedReport]) -> str:
    """Files that are no checkpoints."""
    return "\n".join(
        f"<tr><td>{escaping.name(each.path)}</td><td>{escaping.text(each.why)}</td></tr>" for each in skipped
    )


def skipped_kinds(skipped: Iterable[SkippedReport]) -> str:
    """How many of them for which reason, the commonest first."""
    told = (f"{count:,} {escaping.text(why)}" for why, count in Counter(each.why for each in skipped).most_common(6))
    return ", ".join(told)


def options(values: Iterable[str | None], nothing: str) -> str:
    """The choices of a filter with how many jobs each leaves, in the order of their names."""
    found = Counter(values)
    named = sorted(value for value in found if value is not None)
    told = [f'<option value="{escaping.text(v)}">{escaping.text(v)} ({found[v]:,})</option>' for v in named]
    if found[None]:
        told.append(f'<option value="-">{nothing} ({found[None]:,})</option>')
    return "".join(told)


def job_rows(jobs: Sequence[JobReport], order: Iterable[int]) -> str:
    """A row for each job, in this order."""
    return "\n".join(job_row(k, jobs[k]) for k in order)
