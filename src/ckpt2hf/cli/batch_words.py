"""A job of a batch in one line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from ckpt2hf.report import Status
from ckpt2hf.report.wording import duration, visible

if TYPE_CHECKING:
    from ckpt2hf.report import JobReport, ReasonReport

MARKS = {Status.PROVED: "ok", Status.REFUSED: "no", Status.FAILED: "FAIL", Status.PENDING: "--"}
"""A short word for each status: colour is no information in a log."""
STYLES = {Status.PROVED: "green", Status.REFUSED: "yellow", Status.FAILED: "red", Status.PENDING: "dim"}
"""Its colour on a terminal."""


def outcome(job: JobReport) -> str:
    """The whole line: name, status, time, reason in short."""
    took = f" ({duration(job.seconds)})" if job.attempts and not job.earlier else ""
    earlier = " (by an earlier run)" if job.earlier else ""
    why = f": {short_reason(job.reason)}" if job.reason else ""
    return f"{visible(job.name)}  {job.status.value}{took}{earlier}{why}"


def short_reason(reason: ReasonReport) -> str:
    """Its code and its first sentence."""
    return visible(f"{reason.code}: {reason.what}")


def middle(text: str, width: int) -> str:
    """The text in at most so many columns: what is left out is in the middle, because both ends tell names apart."""
    if cell_len(text) <= width:
        return text
    if width < 2:  # noqa: PLR2004 - one column for the ellipsis and one for anything else
        return "…"[:width]
    head = (width - 1) // 2
    start = set_cell_size(text, head).rstrip()
    end = text
    while cell_len(end) > width - 1 - cell_len(start):
        end = end[max(1, (cell_len(end) - width + 1 + cell_len(start)) // 2) :]
    return f"{start}…{end}"
