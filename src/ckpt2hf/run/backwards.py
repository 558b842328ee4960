"""The use case run backwards: a Hugging Face directory becomes one proved checkpoint of a training code, or nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.dialects import said_on_command_line
from ckpt2hf.errors import UsageError
from ckpt2hf.output import Content, WeightFormat, new_file, write_checkpoint, write_json
from ckpt2hf.plan import make_back_plan, open_directory
from ckpt2hf.remote import is_remote
from ckpt2hf.report import BackOutcome, build_back_report
from ckpt2hf.run.dialect_file import named
from ckpt2hf.run.needs import require_memory, way_needs
from ckpt2hf.run.request import Silence
from ckpt2hf.run.suspicions import suspicions
from ckpt2hf.sources import watched
from ckpt2hf.verify import Level, prove_left_out, require, verify_back, warm_up

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.plan import BackPlan
    from ckpt2hf.report import BackReport
    from ckpt2hf.run.request import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class BackRequest:
    """A Hugging Face directory, and the training code that is to load it."""

    source: Path
    dialect: str | Path
    """The id of a built-in one, or the user's own file."""
    layout: str | None = None
    """Part of the title of one of its layouts, where several can hold the model."""
    facts: tuple[str, ...] = ()
    """`field=value`, as after `--set`: what is so in the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackWriting:
    """Where and how the checkpoint is written and proved."""

    out: Path
    report: Path | None = None
    """Where the report goes, if anywhere; it appears and fails together with the checkpoint."""
    level: Level = Level.LOGITS
    force: bool = False
    allow_nonfinite: bool = False
    workers: int = 2
    """Threads that copy and compare."""


class _Unproved(Exception):  # noqa: N818 - not an error: it carries a negative verdict out of the file being made
    def __init__(self, report: BackReport) -> None:
        super().__init__()
        self.report = report


def plan_back(request: BackRequest) -> BackPlan:
    """The plan for a request. Raises every reason why there is none."""
    said = said_on_command_line(request.facts)
    if said.token_ids:
        raise UsageError(f"a checkpoint has no place for {', '.join(said.token_ids)}")
    with named(request.dialect) as dialect:
        if dialect is None:
            raise TypeError("a request without a dialect")
        checkpoint, _ = _opened(request.source)
        return make_back_plan(checkpoint, dialect, request.layout, said.facts)


def convert_back(request: BackRequest, writing: BackWriting, progress: Progress | None = None) -> BackReport:
    """The report. When its verdict is not `proved`, nothing was left under the output's name.

    Raises every error of reading, understanding, planning and writing; nothing is left then, either.
    """
    told = progress or Silence()
    require(writing.level)
    _refuse_places(request, writing)
    started = time.perf_counter()
    told.phase("read", 0)
    plan = plan_back(request)
    _, kind = _opened(request.source)
    require_memory(way_needs(plan, writing.level))
    if writing.level is Level.LOGITS:
        warm_up()
    try:
        with watched(request.source) as sources:
            sources.watch(plan.checkpoint.files)
            with _undone(writing.report), new_file(writing.out, force=writing.force) as file:
                left_out = prove_left_out(plan)
                told.phase("write", plan.nbytes)
                content = Content(plan.file.weights, plan.file.beside, plan.file.same)
                written = write_checkpoint(file, plan.tensors, content, threads=writing.workers, progress=told.advance)
                findings = suspicions(plan, written.stats, allow_nonfinite=writing.allow_nonfinite)
                verdict = verify_back(
                    file,
                    plan,
                    writing.level,
                    kind=kind.value,
                    threads=writing.workers,
                    progress=told.phase,
                    advance=told.advance,
                )
                digests = sources.sha256()
                sources.require_unchanged()
                outcome = BackOutcome(
                    out=writing.out,
                    nbytes=file.stat().st_size,
                    left_out=left_out,
                    findings=findings,
                    verdict=verdict,
                    digests=digests,
                    seconds=round(time.perf_counter() - started, 3),
                )
                report = _proved(build_back_report(plan, outcome))
                if writing.report is not None:
                    write_json(writing.report, report.lasting())
    except _Unproved as unproved:
        return unproved.report
    return report


@contextmanager
def _undone(report: Path | None) -> Iterator[None]:
    """If the body raises, a report that was not there before is gone again."""
    was_there = report is None or report.exists()
    try:
        yield
    except BaseException:
        if report is not None and not was_there:
            report.unlink(missing_ok=True)
        raise


def _proved(report: BackReport) -> BackReport:
    """The report. Raises _Unproved for a negative verdict."""
    if not report.verdict.proved:
        raise _Unproved(report)
    return report


def _opened(source: Path) -> tuple[Checkpoint, WeightFormat]:
    """The weights of a directory, names as they are. Raises UsageError, NotFoundError, CheckpointError."""
    if is_remote(source):
        raise UsageError("--to-dialect reads a local directory", where=str(source), remedies=["fetch it first"])
    checkpoint, file = open_directory(source, "without --to-dialect, a checkpoint is read")
    return checkpoint, next(kind for kind in WeightFormat if file.startswith(kind.stem))


def _refuse_places(request: BackRequest, writing: BackWriting) -> None:
    """Refuse an output that is the source or lies where it would replace a part of it."""
    if is_remote(writing.out):
        raise UsageError("--to-dialect writes a local file", where=str(writing.out))
    out, source = writing.out.resolve(), request.source.resolve()
    if out == source or (out.parent == source and out.suffix in {".safetensors", ".bin", ".json"}):
        raise UsageError("the output would replace the model", where=f"{source} -> {out}", remedies=["another -o"])
    if writing.report and writing.report.resolve() == out:
        raise UsageError("--report and -o name the same file", where=str(out))
    if writing.report and writing.report.exists() and not writing.force:
        remedies = ["--force   to replace it, or choose another --report"]
        raise UsageError(f"{writing.report} exists", where=str(writing.report), remedies=remedies)
