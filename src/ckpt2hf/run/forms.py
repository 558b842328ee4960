"""Other forms of a finished directory's model: made and measured beside it, then added to it in one step, or not.

The directory is made anew from links to its own files and the new ones, and takes the place of the old one as a
conversion's does: so a run that is killed leaves the directory as it was, and what it had begun is deleted by the next.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import UsageError
from ckpt2hf.ir import ModelSpec, parse_field
from ckpt2hf.output import (
    explained,
    locked_partial,
    new_directory,
)
from ckpt2hf.remote import is_remote
from ckpt2hf.report import stage_report
from ckpt2hf.run.finished import Finished, add, finished
from ckpt2hf.run.request import Silence
from ckpt2hf.run.stage_tokens import stage_tokens
from ckpt2hf.stages import ONNX, Command, Gates, Job, preflight, preset_here, run_apart, stages_named
from ckpt2hf.verify.effort import last, windows_at_once

if TYPE_CHECKING:
    from ckpt2hf.report import StageReport
    from ckpt2hf.run.request import Progress
    from ckpt2hf.run.stage_tokens import StageTokens
    from ckpt2hf.stages import Stage

_WINDOW = 512
"""Tokens that a model is shown at a time; more where that costs little, or where attention slides."""
_MADE_FROM = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormsRequest:
    """What is made of a directory, and what it may cost."""

    directory: Path
    command: Command
    forms: tuple[str, ...]
    """Ids of stages."""
    calibration: Path | None = None
    """Text or token ids on which forms are measured; None for drawn ids."""
    calibration_dtype: str | None = None
    max_tokens: int | None = None
    preset: str | None = None
    """The processor that int8 is for; None for this one."""
    gates: Gates = field(default_factory=Gates)
    keep_rejected: bool = False
    log: Path | None = None
    """Where to keep what the processes say; None for a file beside the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What became of a form that was asked for."""

    report: StageReport
    problems: tuple[str, ...]
    """Why it was rejected; empty for one that is in the directory now."""
    seconds: float
    """What its process took."""
    peak_memory_bytes: int
    """The most its process held resident."""
    kept: Path | None = None
    """Where a rejected one is, if it was to be kept."""


class _NothingToAddError(Exception):
    """Takes the directory that was begun away again."""


@dataclass
class _Run:
    """One call: what it was asked, what it works on, and what it has made so far."""

    asked: FormsRequest
    told: Progress
    found: Finished
    tokens: StageTokens
    window: int
    at_once: int
    preset: str
    log: Path
    forms: list[Form] = field(default_factory=list)


def make_forms(asked: FormsRequest, progress: Progress | None = None) -> tuple[Form, ...]:
    """What became of each form that was asked for, in the order they were made in.

    Raises NotFoundError, UsageError, TokenizerError for what cannot begin, VerificationError where a process gives no
    answer, OutputError; then the directory is as it was.
    """
    if is_remote(asked.directory):
        raise UsageError("other forms are made in a local directory", where=str(asked.directory))
    stages = stages_named(asked.forms, asked.command)
    needed = stages if ONNX in stages else (ONNX, *stages)
    if problems := preflight(asked.directory, needed):
        raise UsageError(
            f"{asked.command.value} cannot begin",
            details=problems,
            where=str(asked.directory),
            remedies=_remedies(problems),
        )
    place = asked.directory.resolve()
    _require_replaceable(place)
    told = progress or Silence()
    told.phase("read", 0)
    found = finished(place)
    run = _prepared(asked, told, found, place)
    try:
        with new_directory(place, force=True) as partial, locked_partial(place) as work:
            np.save(work / "tokens.npy", run.tokens.ids)
            with explained(run.log):
                run.log.write_bytes(b"")
            _make_all(run, stages, work)
            told.phase("add to the directory", 0)
            _add(run, partial, work)
    except _NothingToAddError:
        pass
    return tuple(run.forms)


def _require_replaceable(place: Path) -> None:
    """Raises UsageError for a directory that cannot give way to the one that has the new forms."""
    if Path.cwd().is_relative_to(place):
        remedies = [f"cd ..   (and then: {place.name})"]
        raise UsageError(
            "the directory is replaced in one step, and you are in it", where=str(place), remedies=remedies
        )
    if os.path.ismount(place):
        remedies = ["mount the directory that holds it"]
        raise UsageError(
            "a mount point cannot be replaced by what has the new forms", where=str(place), remedies=remedies
        )


def _remedies(problems: list[str]) -> list[str]:
    known = [each.partition(": ")[2] for each in problems if "not installed" in each]
    return list(dict.fromkeys(known)) or ["docs/onnx.md   says which classes have these forms"]


def _prepared(asked: FormsRequest, told: Progress, found: Finished, place: Path) -> _Run:
    spec = ModelSpec(**{name: parse_field(name, value) for name, value in found.report.spec.items()})
    window = min(spec.context, max(_WINDOW, last(spec), 2 * spec.sliding_window))
    tokens = stage_tokens(
        asked.directory, asked.calibration, asked.calibration_dtype, asked.max_tokens, spec.vocab, window
    )
    if asked.gates.max_ppl_ratio is not None and not tokens.real:
        raise UsageError("--max-ppl-ratio needs a text to predict", remedies=["--calibration FILE"])
    return _Run(
        asked=asked,
        told=told,
        found=found,
        tokens=tokens,
        window=window,
        at_once=windows_at_once(window, spec.vocab, spec.heads),
        preset=asked.preset or preset_here(),
        log=asked.log or place.with_name(f"{place.name}.{asked.command.value}.log"),
    )


def _make_all(run: _Run, stages: tuple[Stage, ...], work: Path) -> None:
    """Makes every form in a folder, and judges it. Nothing is made from a float32 file that is not proved."""
    base: Path | None = None if ONNX in stages else run.found.float32()
    if base is None:
        form = _make(run, ONNX, None, work)
        base = work / ONNX.path
        if ONNX in stages or form.problems:
            run.forms.append(form)
        if form.problems:
            return
    for stage in stages:
        if stage is not ONNX:
            run.forms.append(_make(run, stage, base, work))


def _make(run: _Run, stage: Stage, base: Path | None, work: Path) -> Form:
    run.told.phase(f"{stage.id}: make and {'prove' if stage.exact else 'measure'}", 0)
    out = work / stage.path
    out.parent.mkdir(exist_ok=True)
    own = work / f"{stage.id}.job"
    own.mkdir()
    job = Job(
        stage=stage.id,
        directory=str(run.found.place),
        out=str(out),
        base=str(base) if base else None,
        tokens=str(work / "tokens.npy"),
        real=run.tokens.real,
        window=run.window,
        at_once=run.at_once,
        preset=run.preset,
    )
    made = run_apart(job, own, run.log)
    shutil.rmtree(own, ignore_errors=True)
    made_from = ONNX.path if base else _MADE_FROM
    report = stage_report(stage, made, run.tokens.about, out.parent, made_from, run.tokens.notes)
    problems = [f"{check.name}: {check.summary}" for check in made.checks if not check.passed]
    problems += run.asked.gates.problems(made.price) if made.price else []
    kept = _kept(run, report, work) if problems and run.asked.keep_rejected else None
    return Form(
        report=report,
        problems=tuple(problems),
        seconds=made.seconds,
        peak_memory_bytes=made.peak_memory_bytes,
        kept=kept,
    )


def _kept(run: _Run, report: StageReport, work: Path) -> Path:
    """Puts the files of a rejected form beside the directory. Raises OutputError."""
    place = run.found.place
    aside = place.with_name(f"{place.name}.rejected")
    with explained(aside):
        for file in report.files:
            to = aside / file.name
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(work / file.name, to)
    return aside / report.files[0].name


def _add(run: _Run, partial: Path, work: Path) -> None:
    """Fills the new directory. Raises _NothingToAddError where every form was rejected."""
    reports = [form.report for form in run.forms if not form.problems]
    if not reports:
        raise _NothingToAddError
    add(run.found, reports, partial, work)
