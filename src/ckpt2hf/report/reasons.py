"""The jobs of a batch by what stands in their way, so that one answer can help many checkpoints."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.report.batch import JobReport, ReasonReport, Status

_ITS_OWN = "…"
"""What stands for a job's own name or path where the words of several jobs are compared."""
_NUMBER = re.compile(r"\b\d+\b")
_REMARK = re.compile(r" {2,}(.*)$", re.DOTALL)
_ALTERNATIVE = re.compile(r"\|(?=--)")
_OPTION = re.compile(r"\s+(?=--)")


@dataclass(frozen=True, slots=True)
class ReasonGroup:
    """Jobs that say the same apart from their names, and that the same remedies would help."""

    id: str
    """Of the words, so that it is the same in every report in which the group appears."""
    status: Status
    """What became of the jobs."""
    reason: ReasonReport
    """That of the first job."""
    what: str
    """What is wrong, without what is the first job's own."""
    details: tuple[str, ...]
    """The particulars that all of them share."""
    jobs: tuple[JobReport, ...]
    """In the order of the report."""


def grouped(jobs: Iterable[JobReport]) -> tuple[ReasonGroup, ...]:
    """The groups, the largest first; those of equal size in the order in which they come up."""
    groups: dict[tuple[str, ...], list[JobReport]] = {}
    for job in jobs:
        if job.reason is not None:
            groups.setdefault(_key(job, job.reason), []).append(job)
    made = [_group(key, tuple(same)) for key, same in groups.items()]
    return tuple(sorted(made, key=lambda group: -len(group.jobs)))


def ways(remedy: str) -> tuple[tuple[str, str], ...]:
    """What a remedy says to type, each alternative (`--a 1|--a 2`) for itself, with the remark that followed it."""
    remark = _REMARK.search(remedy)
    words, said = (remedy[: remark.start()], remark[1]) if remark else (remedy, "")
    if not words.startswith("--"):
        return ((words, said),)
    parts = [_ALTERNATIVE.split(part) for part in _OPTION.split(words)]
    return tuple((" ".join(chosen), said) for chosen in product(*parts))


def _group(key: tuple[str, ...], jobs: tuple[JobReport, ...]) -> ReasonGroup:
    first, reason = jobs[0], jobs[0].reason
    if reason is None:
        raise TypeError(f"{first.name} has no reason to be grouped by")
    words = "\0".join(key).encode("utf-8", "surrogatepass")
    what = reason.what if len(jobs) == 1 else _without_own(first, reason.what)
    shared = set(reason.details).intersection(*(job.reason.details for job in jobs if job.reason))
    details = tuple(detail for detail in reason.details if detail in shared)
    return ReasonGroup(hashlib.sha256(words).hexdigest()[:12], first.status, reason, what, details, jobs)


def _key(job: JobReport, reason: ReasonReport) -> tuple[str, ...]:
    """What is the same for two jobs that need the same answer; a count in the sentence makes no difference."""
    what = _NUMBER.sub("#", _without_own(job, reason.what))
    return (job.status.value, reason.code, what, *(_without_own(job, remedy) for remedy in reason.remedies))


def _without_own(job: JobReport, text: str) -> str:
    """The text without the job's own paths and names, the longest first because one contains the other."""
    for own in (job.source, job.source.rstrip("/").rpartition("/")[2], job.name):
        if own:
            text = re.sub(rf"(?<![\w.-]){re.escape(own)}(?![\w-])", _ITS_OWN, text)
    return text
