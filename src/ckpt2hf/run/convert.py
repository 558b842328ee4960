"""The use case: one checkpoint becomes one proved directory, or nothing."""

from __future__ import annotations

import resource
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.fingerprint import sha256_of, stamp
from ckpt2hf.errors import CheckpointError, HealthError, UsageError
from ckpt2hf.ops import identical
from ckpt2hf.output import WeightOptions, new_directory, write_json, write_weights
from ckpt2hf.report import (
    SCHEMA,
    FileReport,
    LeftOutReport,
    Report,
    dialect_report,
    fact_reports,
    file_name,
    finding_reports,
    rewrite_reports,
    source_report,
    tensor_reports,
    verdict_report,
    versions,
)
from ckpt2hf.run.request import Silence
from ckpt2hf.run.understand import plan as make_plan
from ckpt2hf.verify import Level, Severity, health, prove_left_out, require, verify, warm_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.output import TensorStats, WrittenWeights
    from ckpt2hf.plan import Plan
    from ckpt2hf.run.request import Progress, Request, Writing
    from ckpt2hf.verify import Finding, Verdict

REPORT = "conversion.json"
"""The report's name in the output directory."""


class _Unproved(Exception):  # noqa: N818 - not an error: it carries a negative verdict out of the directory being made
    def __init__(self, report: Report) -> None:
        super().__init__()
        self.report = report


@dataclass
class _Clock:
    """Seconds spent, by phase."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, phase: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = round(time.perf_counter() - started, 3)


def convert(request: Request, writing: Writing, progress: Progress | None = None) -> Report:
    """The report of the conversion. When its verdict is not `proved`, nothing was left under the output's name.

    Raises every error of reading, understanding, planning and writing; nothing is left then, either.
    """
    told = progress or Silence()
    clock = _Clock()
    require(writing.level)
    with clock("plan"):
        told.phase("read", 0)
        plan = make_plan(request)
        _refuse_overlap(request.source, writing.out)
        stamps = {path: stamp(path) for path in plan.checkpoint.files}
        left_out = prove_left_out(plan)
    if writing.level is Level.LOGITS:
        warm_up()
    try:
        with new_directory(writing.out, force=writing.force) as partial:
            return _fill(partial, plan, _Job(request, writing, told, clock, left_out, stamps))
    except _Unproved as unproved:
        return unproved.report


@dataclass(frozen=True, slots=True)
class _Job:
    request: Request
    writing: Writing
    progress: Progress
    clock: _Clock
    left_out: Mapping[str, str]
    stamps: Mapping[Path, object]


def _fill(directory: Path, plan: Plan, job: _Job) -> Report:
    with _hashed(plan.checkpoint.files) as digests, job.clock("write"):
        job.progress.phase("write", plan.nbytes)
        options = WeightOptions(
            formats=job.writing.formats, max_shard_bytes=job.writing.max_shard_bytes, threads=job.writing.workers
        )
        written = write_weights(plan.tensors, directory, options, job.progress.advance)
        write_json(directory / "config.json", dict(plan.config))
        write_json(directory / "generation_config.json", dict(plan.generation_config))
    findings = _health(plan, written.stats, allow_nonfinite=job.writing.allow_nonfinite)
    with job.clock("verify"):
        verdict = verify(
            directory,
            plan,
            job.writing.formats,
            job.writing.level,
            threads=job.writing.workers,
            progress=job.progress.phase,
            advance=job.progress.advance,
        )
    changed = [str(path) for path, before in job.stamps.items() if stamp(path) != before]
    if changed:
        raise CheckpointError(
            "the checkpoint changed while it was being read",
            details=changed,
            remedies=["wait until training has saved"],
        )
    report = _report(directory, plan, job, written, findings, verdict, digests)
    if not verdict.proved:
        raise _Unproved(report)
    write_json(directory / REPORT, report.as_json())
    return report


def _report(
    directory: Path,
    plan: Plan,
    job: _Job,
    written: WrittenWeights,
    findings: tuple[Finding, ...],
    verdict: Verdict,
    digests: Mapping[Path, str],
) -> Report:
    base = plan.checkpoint.path if plan.checkpoint.path.is_dir() else plan.checkpoint.path.parent
    sources = (FileReport(file_name(p, base), p.stat().st_size, digests[p]) for p in plan.checkpoint.files)
    facts = plan.candidate.resolution.facts
    return Report(
        schema=SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        source=source_report(plan, sources),
        dialect=dialect_report(plan.candidate),
        facts=fact_reports(facts),
        spec=plan.spec.as_json(),
        target=plan.target.hf_class,
        rewrites=rewrite_reports(plan),
        exactness=plan.exactness.value,
        dtype=plan.dtype.torch_name if plan.dtype else None,
        tensors=tensor_reports(plan),
        left_out=tuple(LeftOutReport(name, why) for name, why in job.left_out.items()),
        notes=plan.notes,
        health=finding_reports(findings),
        output=str(job.writing.out),
        formats=tuple(kind.value for kind in job.writing.formats),
        files=tuple(FileReport(p.name, p.stat().st_size) for p in sorted(directory.iterdir()) if p in written.files),
        verdict=verdict_report(verdict),
        options=again(plan, job.request),
        seconds=job.clock.seconds,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def again(plan: Plan, request: Request) -> dict[str, object]:
    """The flags that lead to the same plan without asking anybody again."""
    decided = {"user", "reference"}
    facts = plan.candidate.resolution.facts.values()
    spec = plan.spec.as_json()
    ids = {name: value for name, value in plan.generation_config.items() if value is not None}
    return {
        "dialect": plan.candidate.fit.dialect.id,
        "set": {**{f.field: spec[f.field] for f in facts if f.origin.value in decided}, **ids},
        "weights_key": request.weights_key,
        "dtype": request.dtype.torch_name if request.dtype else None,
    }


@contextmanager
def _hashed(files: Sequence[Path]) -> Iterator[dict[Path, str]]:
    """SHA-256 of every source file, computed beside the work inside; filled in when that is done."""
    digests: dict[Path, str] = {}
    failures: list[BaseException] = []

    def run() -> None:
        try:
            digests.update({path: sha256_of(path) for path in files})
        except Exception as error:  # noqa: BLE001 - handed to the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run, name="sha256")
    thread.start()
    try:
        yield digests
    finally:
        thread.join()
    if failures:
        raise failures[0]


def _health(plan: Plan, stats: Mapping[str, TensorStats], *, allow_nonfinite: bool) -> tuple[Finding, ...]:
    """Suspicions about the weights, in slot names. Raises HealthError for NaN and infinity unless allowed."""
    computed = {slot for made in plan.rewrites for slot in made.computed}
    names = {link.names[0]: _label(link.slots) for link in plan.links if not computed.issuperset(link.slots)}
    back = {label: name for name, label in names.items()}
    findings = health(
        {label: stats[name] for name, label in names.items()},
        lambda a, b: identical(plan.tensors[back[a]], plan.tensors[back[b]]),
    )
    fatal = [finding for finding in findings if finding.severity is Severity.ERROR]
    if fatal and not allow_nonfinite:
        raise HealthError(
            fatal[0].message,
            details=fatal[0].names,
            where=str(plan.checkpoint.path),
            remedies=["--allow-nonfinite   converts it all the same"],
        )
    return findings


def _label(slots: tuple[str, ...]) -> str:
    """One slot's name, or one name for the fused q, k and v."""
    return slots[0] if len(slots) == 1 else slots[0].replace(".q.", ".qkv.")


def _refuse_overlap(source: Path, out: Path) -> None:
    """Refuse an output that is the source, or a directory that holds it: `--force` would delete the checkpoint."""
    a, b = source.resolve(), out.resolve()
    if a == b or a.is_relative_to(b):
        raise UsageError(
            "the output would replace the checkpoint",
            where=f"{source} -> {out}",
            remedies=["another directory after -o"],
        )
