"""The columns of the table: one entry each, from which heading, cells, widths and order follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.report.batch import JobReport, Status
from ckpt2hf.report.html import escaping
from ckpt2hf.report.wording import duration, natural, parameters, size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MARKS = {Status.FAILED: "✕", Status.REFUSED: "⊘", Status.PENDING: "○", Status.PROVED: "✓"}
"""A sign for each status, because colour alone says nothing to some; in the order in which they need a person."""
_TROUBLE = {status: k for k, status in enumerate(MARKS)}
_LEVELS = ("structure", "bytes", "logits")
_EXACTNESS = ("rounded", "numerically equal", "algebraic", "bitwise")


@dataclass(frozen=True, slots=True)
class Column:
    """What one column shows of a job, and how it sorts."""

    key: str
    """Names it in the page's address."""
    title: str
    """Its heading, and its label where the table is too narrow for headings."""
    width: str
    """As a track of a CSS grid."""
    order: Callable[[JobReport], Any]
    """What to sort by; None comes last either way."""
    cell: Callable[[JobReport], str]
    """HTML."""
    numeric: bool = False
    """Whether it is a quantity: aligned to the right, and first sorted from the largest."""


def _status(job: JobReport) -> str:
    return f"<i>{MARKS[job.status]}</i> {job.status.value}"


def _name(job: JobReport) -> str:
    reason = job.reason
    why = f"<p>{escaping.text(reason.code)}: {escaping.text(reason.what)}</p>" if reason else ""
    said = [escaping.text(warning) for warning in job.warnings]
    return escaping.name(job.name) + why + "".join(f"<p class=warning>{line}</p>" for line in said)


def _proof(job: JobReport) -> str:
    return escaping.text(" · ".join(part for part in (job.level, job.exactness) if part))


def _proof_order(job: JobReport) -> tuple[int, int] | None:
    return (_rank(_LEVELS, job.level), _rank(_EXACTNESS, job.exactness)) if job.level or job.exactness else None


def _rank(order: Sequence[str], word: str | None) -> int:
    return order.index(word) if word in order else -1


def _report(job: JobReport) -> str:
    return f'<a href="{escaping.text(escaping.link(job.report))}">report</a>' if job.report else ""


COLUMNS = (
    Column("name", "Checkpoint", "minmax(14rem, 1fr)", lambda job: natural(job.name), _name),
    Column("status", "Status", "6.5rem", lambda job: _TROUBLE[job.status], _status),
    Column("dialect", "Dialect", "8.5rem", lambda job: job.dialect, lambda job: escaping.text(job.dialect or "")),
    Column("proof", "Proof", "9.5rem", _proof_order, _proof),
    Column(
        "parameters", "Parameters", "6.5rem",
        lambda job: job.parameters or None, lambda job: parameters(job.parameters) if job.parameters else "",
        numeric=True,
    ),
    Column(
        "source", "Source", "6.5rem",
        lambda job: job.source_bytes, lambda job: size(job.source_bytes),
        numeric=True,
    ),
    Column(
        "output", "Written", "6.5rem",
        lambda job: job.output_bytes or None, lambda job: size(job.output_bytes) if job.output_bytes else "",
        numeric=True,
    ),
    Column(
        "seconds", "Time", "7rem",
        lambda job: job.seconds if job.attempts else None,
        lambda job: duration(job.seconds) if job.attempts else "",
        numeric=True,
    ),
    Column("report", "Report", "4.5rem", lambda job: natural(job.report) if job.report else None, _report),
)  # fmt: skip
"""In the order in which they are shown; the first is the name, which heads its row."""


def ranks(jobs: Sequence[JobReport]) -> dict[str, list[int]]:
    """By column, the place of every job: equal values share one, and -1 stands for none."""
    found = {}
    for column in COLUMNS:
        values = [column.order(job) for job in jobs]
        place = {value: k for k, value in enumerate(sorted({value for value in values if value is not None}))}
        found[column.key] = [-1 if value is None else place[value] for value in values]
    return found
