"""Makes forms in processes of their own, side by side where memory and processors allow, and judges each."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf import limits
from ckpt2hf.output import explained
from ckpt2hf.report import stage_report
from ckpt2hf.run.forms_request import Form, shown_to
from ckpt2hf.stages import ONNX, Apart, Job, preset_here, side_by_side
from ckpt2hf.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.report import StageReport
    from ckpt2hf.run.forms_request import FormsRequest
    from ckpt2hf.run.request import Progress
    from ckpt2hf.run.stage_tokens import StageTokens
    from ckpt2hf.stages import Made, Size, Stage

_MADE_FROM = "model.safetensors"


@dataclass(frozen=True, slots=True)
class FormJobs:
    """One call: what it was asked, and what it works on."""

    asked: FormsRequest
    place: Path
    """The model's directory, without links."""
    spec: ModelSpec
    size: Size
    tokens: StageTokens
    log: Path
    work: Path
    """Where files are made."""
    told: Progress

    def make(self, base: Path | None) -> list[Form]:
        """Every form that was asked for, and float32 where that is wrong: nothing is made from it then.

        `base` is a float32 file that is proved already, if there is one. Raises VerificationError, OutputError.
        """
        np.save(self._ids, self.tokens.ids)
        with explained(self.log):
            self.log.write_bytes(b"")
        stages = self.asked.stages
        forms: list[Form] = []
        if base is None:
            forms = self._made((ONNX,), None)
            base = self.work / ONNX.path
            if forms[0].problems:
                return forms
        others = [stage for stage in stages if stage is not ONNX]
        return [*(forms if ONNX in stages else ()), *self._made(others, base)]

    @property
    def _ids(self) -> Path:
        return self.work / "tokens.npy"

    def _made(self, stages: Sequence[Stage], base: Path | None) -> list[Form]:
        """Forms that need nothing of each other, in the order of the stages."""
        if not stages:
            return []
        processors = int(os.environ.get("OMP_NUM_THREADS") or limits.processors())
        count = side_by_side(stages, self.size, limits.processors())
        apart, waiting = Apart(self.log), [stage.id for stage in stages]
        verb = "measure" if base else "prove"

        def told() -> None:
            # Those that have not begun yet are named, too: which of them that is nobody needs to know.
            self.told.phase(f"make and {verb} {', '.join(waiting)}", 0)

        def done(number: int, _made: Made) -> None:
            waiting.remove(stages[number].id)
            if waiting:
                told()

        told()
        jobs = [self._job(stage, base, apart, max(processors // count, 1)) for stage in stages]
        made = in_threads(jobs, count, done, stop=apart.stop)
        return [self._judged(stage, each, base) for stage, each in zip(stages, made, strict=True)]

    def _job(self, stage: Stage, base: Path | None, apart: Apart, threads: int) -> Callable[[], Made]:
        out, own = self.work / stage.path, self.work / f"{stage.id}.job"
        shown = shown_to(self.spec)
        job = Job(
            stage=stage.id,
            directory=str(self.place),
            out=str(out),
            base=str(base) if base else None,
            tokens=str(self._ids),
            real=self.tokens.real,
            window=shown.window,
            at_once=shown.at_once,
            preset=self.asked.preset or preset_here(),
        )

        def run() -> Made:
            out.parent.mkdir(exist_ok=True)
            own.mkdir()
            made = apart.run(job, own, threads)
            shutil.rmtree(own, ignore_errors=True)
            return made

        return run

    def _judged(self, stage: Stage, made: Made, base: Path | None) -> Form:
        folder = (self.work / stage.path).parent
        made_from = ONNX.path if base else _MADE_FROM
        report = stage_report(stage, made, self.tokens.about, folder, made_from, self.tokens.notes)
        problems = [f"{check.name}: {check.summary}" for check in made.checks if not check.passed]
        problems += self.asked.gates.problems(made.price) if made.price else []
        return Form(
            report=report,
            problems=tuple(problems),
            seconds=made.seconds,
            peak_memory_bytes=made.peak_memory_bytes,
            kept=self._kept(report) if problems and self.asked.keep_rejected else None,
        )

    def _kept(self, report: StageReport) -> Path:
        """Puts the files of a rejected form beside the directory. Raises OutputError."""
        aside = self.place.with_name(f"{self.place.name}.rejected")
        with explained(aside):
            for file in report.files:
                to = aside / file.name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.work / file.name, to)
        return aside / report.files[0].name
