"""The use case: one checkpoint becomes one proved directory, or nothing."""

from __future__ import annotations

import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.output import (
    WeightOptions,
    explained,
    new_directory,
    uploaded_directory,
    write_json,
    write_sums,
    write_weights,
)
from ckpt2hf.remote import is_remote
from ckpt2hf.report import Outcome, build_report, model_card
from ckpt2hf.run import units
from ckpt2hf.run.fetch import fetch
from ckpt2hf.run.needs import needs, require_memory
from ckpt2hf.run.proof import policy, proof
from ckpt2hf.run.request import Silence
from ckpt2hf.run.settings_file import beside
from ckpt2hf.run.suspicions import suspicions
from ckpt2hf.run.understand import plan as make_plan
from ckpt2hf.run.understand import settled
from ckpt2hf.sources import watched
from ckpt2hf.tokenizers import tables
from ckpt2hf.verify import Level, prove_left_out, require, require_interpreter, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ckpt2hf.plan import Plan
    from ckpt2hf.report import Report
    from ckpt2hf.run.needs import Needs
    from ckpt2hf.run.request import Progress, Request, Writing
    from ckpt2hf.sources import Sources
    from ckpt2hf.tokenizers import Tokenizer

REPORT = "conversion.json"
"""The report's name in the output directory."""
CARD = "README.md"
"""The model card's."""


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


def convert(
    request: Request,
    writing: Writing,
    progress: Progress | None = None,
    sources: Sources | None = None,
    admit: Callable[[Needs], None] | None = None,
    before: Callable[[Plan], None] | None = None,
) -> Report:
    """The report of the conversion. When its verdict is not `proved`, nothing was left under the output's name.

    `sources` are for a caller who began to hash the checkpoint before. `admit` is told what the conversion needs before
    anything is written, and may wait or raise; without one, memory that is not there is refused. `before` is shown the
    plan then, and may raise. Raises every error of reading, understanding, planning and writing; nothing is left then,
    either.
    """
    request, writing = _with_scratch(request, writing)
    job = _Job(request, writing, progress or Silence(), _Clock())
    require(writing.level)
    try:
        with nullcontext(sources) if sources else watched(request.source) as watch:
            with job.clock("plan"):
                job.progress.phase("read", 0)
                plan = make_plan(request, job.progress)
                _refuse_overlap(request.source, writing.out)
                if writing.level is Level.LOGITS:
                    require_interpreter(plan.target, writing.python_5x)
                if before is not None:
                    before(plan)
                watch.watch((*plan.checkpoint.files, *(plan.tokenizer.source.files if plan.tokenizer else ())))
            if admit is None:
                require_memory(needs(plan, writing))
            else:
                admit(needs(plan, writing))
            if writing.level is Level.LOGITS:
                warm_up()
            with _directory(job) as partial:
                if is_remote(request.source):
                    with job.clock("fetch"):
                        fetch(plan, job.progress)
                with watched(partial, writing.workers) as made:
                    return _fill(partial, plan, watch, made, job)
    except _Unproved as unproved:
        return unproved.report


@dataclass(frozen=True, slots=True)
class _Job:
    request: Request
    writing: Writing
    progress: Progress
    clock: _Clock


def _with_scratch(request: Request, writing: Writing) -> tuple[Request, Writing]:
    """The same, remote paths told where to keep what they fetch or make."""
    source, out = request.source, writing.out
    if writing.scratch and is_remote(source):
        request = replace(request, source=source.kept_in(writing.scratch))
    if writing.scratch and is_remote(out):
        writing = replace(writing, out=out.kept_in(writing.scratch))
    return request, writing


def _directory(job: _Job) -> AbstractContextManager[Path]:
    """Where the result is made before it has its name."""
    out, force = job.writing.out, job.writing.force
    if is_remote(out):
        return uploaded_directory(out, force=force, phase=job.progress.phase, advance=job.progress.advance)
    return new_directory(out, force=force)


def _fill(directory: Path, plan: Plan, sources: Sources, made: Sources, job: _Job) -> Report:
    """Write, examine and prove the directory, hashing meanwhile. Raises _Unproved when the proof fails."""
    writing, request = job.writing, settled(job.request)
    left_out = prove_left_out(plan)
    with job.clock("write"):
        job.progress.phase("write", plan.nbytes)
        options = WeightOptions(
            formats=writing.formats, max_shard_bytes=writing.max_shard_bytes, threads=writing.workers
        )
        written = write_weights(plan.tensors, directory, options, job.progress.advance)
        write_json(directory / "config.json", dict(plan.config))
        write_json(directory / "generation_config.json", dict(plan.generation_config))
        if plan.tokenizer:
            for name, table in tables(plan.tokenizer).items():
                write_json(directory / name, table)
    made.watch(written.files)
    findings = suspicions(plan, written.stats, allow_nonfinite=writing.allow_nonfinite)
    with job.clock("verify"):
        proved = proof(
            directory,
            plan,
            request,
            writing.formats,
            writing.level,
            threads=writing.workers,
            python=writing.python_5x,
            progress=job.progress,
        )
    digests = sources.sha256()
    sources.require_unchanged()
    report = build_report(
        plan,
        Outcome(
            out=writing.out,
            written=written,
            left_out=left_out,
            findings=findings,
            verdict=proved.verdict,
            tokenizer_checks=proved.tokenizer,
            policy=policy(request),
            digests=digests,
            etags=sources.etags(),
            options=again(plan, request),
            seconds=job.clock.seconds,
        ),
    )
    if not proved.verdict.proved:
        raise _Unproved(report)
    write_json(directory / REPORT, report.lasting())
    words = writing.card.over(beside(job.request.source, job.request.weights_key).card)
    with explained(directory / CARD):
        (directory / CARD).write_text(model_card(report, words), encoding="utf-8")
    with job.clock("sums"):
        write_sums(directory, made.sha256())
    return report


def again(plan: Plan, request: Request) -> dict[str, object]:
    """The flags that lead to the same plan without asking anybody again."""
    decided = {"user", "reference", "sample"}
    facts = plan.candidate.resolution.facts.values()
    spec = plan.spec.as_json()
    ids = {name: value for name, value in plan.generation_config.items() if value is not None}
    known = plan.candidate.fit.dialect
    return {
        "dialect": str(known.file.path) if known.file else known.id,
        **({"dialect_sha256": known.file.sha256} if known.file else {}),
        "set": {**{f.field: spec[f.field] for f in facts if f.origin.value in decided}, **ids},
        "weights_key": request.weights_key,
        "dtype": request.dtype.torch_name if request.dtype else None,
        **({"allow": units.allow_names(request.allow)} if request.allow else {}),
        **({"tokenizer": _tokenizer_again(plan.tokenizer, request)} if plan.tokenizer else {}),
    }


def _tokenizer_again(tokenizer: Tokenizer, request: Request) -> dict[str, object]:
    """What was said about the tokenizer; its tokens, ids and all, are in the report and its own files."""
    asked = request.tokenizer
    return {
        "path": str(asked.file or tokenizer.source.files[0]),
        "tokens": dict(asked.tokens),
        "pattern": asked.pattern,
        "special_tokens": dict(asked.special_tokens),
        "policy": policy(request).value,
    }


def _refuse_overlap(source: Path, out: Path) -> None:
    """Refuse an output that is the source, or a directory that holds it: `--force` would delete the checkpoint."""
    a, b = source.resolve(), out.resolve()
    if is_remote(a) == is_remote(b) and (a == b or a.is_relative_to(b)):
        raise UsageError(
            "the output would replace the checkpoint",
            where=f"{source} -> {out}",
            remedies=["another directory after -o"],
        )
