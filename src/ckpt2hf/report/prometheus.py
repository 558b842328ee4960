"""A batch as metrics in the text format of Prometheus, for the node exporter's textfile collector."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from ckpt2hf.report.batch import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ckpt2hf.report.batch import BatchReport

Sample = tuple[dict[str, str], float]
"""Labels and a value."""


def render(report: BatchReport) -> str:
    """The whole file. Every series of a batch carries its output directory, so that several batches can be told apart.

    All are gauges: they describe the last run, and the next one replaces the file.
    """
    batch = {"output": report.output, **({"shard": report.shard} if report.shard else {})}
    parts = (_family(name, said, samples, batch) for name, said, samples in _families(report))
    return "".join(line for lines in parts for line in lines)


def _families(report: BatchReport) -> Iterator[tuple[str, str, list[Sample]]]:
    jobs, done = report.jobs, [job for job in report.jobs if not job.earlier]
    reasons = Counter((job.status.value, job.reason.code) for job in jobs if job.reason)
    finished = datetime.fromisoformat(report.created).timestamp()
    through = not report.interrupted and all(job.status is Status.PROVED for job in jobs)
    yield "jobs", "Checkpoints by status.", [({"status": s.value}, report.counts.get(s.value, 0)) for s in Status]
    yield (
        "reasons", "Checkpoints that are not proved, by status and error code.",
        [({"status": status, "code": code}, count) for (status, code), count in sorted(reasons.items())],
    )  # fmt: skip
    yield "jobs_earlier", "Checkpoints that an earlier run had done.", [({}, len(jobs) - len(done))]
    yield "skipped_files", "Files that are no checkpoints.", [({}, len(report.skipped))]
    yield "seconds", "Wall clock of the run.", [({}, report.seconds)]
    yield "job_seconds_max", "Wall clock of the slowest checkpoint.", [({}, max((j.seconds for j in done), default=0))]
    yield "attempts", "Attempts at all checkpoints, over all runs.", [({}, sum(job.attempts for job in jobs))]
    yield "source_bytes", "Size of the sources.", [({}, sum(job.source_bytes for job in jobs))]
    # A source is read to be converted and skipped otherwise: what was refused early cost next to nothing.
    yield (
        "read_bytes", "Size of the sources that this run converted.",
        [({}, sum(job.source_bytes for job in done if job.status is Status.PROVED))],
    )  # fmt: skip
    yield "written_bytes", "Size of the files that this run wrote.", [({}, sum(job.output_bytes for job in done))]
    yield (
        "peak_memory_bytes", "Largest resident memory of one checkpoint's process.",
        [({}, max((job.peak_memory_bytes for job in done), default=0))],
    )  # fmt: skip
    yield "workers", "Checkpoints at the same time, at most.", [({}, report.workers)]
    yield "interrupted", "Whether the run was stopped before it was through.", [({}, float(report.interrupted))]
    yield "last_run_timestamp_seconds", "When the run ended, in Unix time.", [({}, finished)]
    yield (
        "last_success_timestamp_seconds", "When a run ended with every checkpoint proved; missing if this one did not.",
        [({}, finished)] if through else [],
    )  # fmt: skip


def _family(name: str, said: str, samples: Iterable[Sample], batch: dict[str, str]) -> Iterator[str]:
    told = [f"ckpt2hf_batch_{name}{_labels({**batch, **labels})} {value}\n" for labels, value in samples]
    if told:
        yield f"# HELP ckpt2hf_batch_{name} {said}\n# TYPE ckpt2hf_batch_{name} gauge\n"
        yield from told


def _labels(labels: dict[str, str]) -> str:
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    """A label's value: the format knows these three escapes, and is UTF-8."""
    readable = value.encode("utf-8", "replace").decode()
    return readable.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
