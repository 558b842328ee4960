"""Makes forms in processes of their own, side by side where memory and processors allow, and judges each."""

from __future__ import annotations

import glob
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf import limits
from ckpt2hf.output import explained
from ckpt2hf.report import stage_report
from ckpt2hf.run.forms_request import Form, shown_to
from ckpt2hf.stages import BY_ID, Apart, Job, preset_here, side_by_side
from ckpt2hf.stages.gguf.naming import VERSION, base_name, size_label
from ckpt2hf.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.report import StageReport
    from ckpt2hf.run.finished import Finished
    from ckpt2hf.run.forms_request import FormsRequest
    from ckpt2hf.run.request import Progress
    from ckpt2hf.run.stage_tokens import StageTokens
    from ckpt2hf.stages import Made, Size, Stage
    from ckpt2hf.tensors import Array


@dataclass(frozen=True, slots=True)
class FormJobs:
    """One call: what it was asked, and what it works on."""

    asked: FormsRequest
    found: Finished
    """The model's directory."""
    size: Size
    tokens: StageTokens
    importance: Array | None
    """Token ids that say which columns matter."""
    log: Path
    work: Path
    """Where files are made."""
    told: Progress

    def make(self, bases: Mapping[str, Path]) -> list[Form]:
        """Every form that was asked for, and what one is made from where that is wrong: nothing is made from it then.

        `bases` are files by their stage that others are made from and that are proved already. Raises
        VerificationError, OutputError.
        """
        with explained(self._ids):
            np.save(self._ids, self.tokens.ids)
            if self.importance is not None:
                np.save(self._columns, self.importance)
        with explained(self.log):
            self.log.write_bytes(b"")
        asked = self.asked.stages
        first = [stage for stage in self.asked.needed if stage.base is None and stage.id not in bases]
        forms = self._made(first, {})
        sound = {form.report.id for form in forms if not form.problems}
        files = {**bases} | {stage.id: self._begun(stage) for stage in first if stage.id in sound}
        second = [stage for stage in asked if stage.base in files]
        names = {stage.id for stage in asked}
        wanted = [form for form in forms if form.report.id in names or form.problems]
        made = [*wanted, *self._made(second, files)]
        order = list(BY_ID)
        return sorted(made, key=lambda form: order.index(form.report.id))

    def _out(self, stage: Stage) -> Path:
        """Where a stage is told to write."""
        return self.work / stage.path(self.found.name)

    def _begun(self, stage: Stage) -> Path:
        """What a stage wrote there, or the first of its parts."""
        out = self._out(stage)
        return out if out.exists() else min(out.parent.glob(f"{glob.escape(out.stem)}-*"))

    @property
    def _ids(self) -> Path:
        return self.work / "tokens.npy"

    @property
    def _columns(self) -> Path:
        return self.work / "importance.npy"

    def _made(self, stages: Sequence[Stage], bases: Mapping[str, Path]) -> list[Form]:
        """Forms that need nothing of each other, in the order of the stages."""
        if not stages:
            return []
        processors = int(os.environ.get("OMP_NUM_THREADS") or limits.processors())
        count = side_by_side(stages, self.size, limits.processors())
        apart, waiting = Apart(self.log), [stage.id for stage in stages]
        verb = "prove" if any(stage.exact for stage in stages) else "measure"

        def told() -> None:
            # Those that have not begun yet are named, too: which of them that is nobody needs to know.
            self.told.phase(f"make and {verb} {', '.join(waiting)}", 0)

        def done(number: int, _made: Made) -> None:
            waiting.remove(stages[number].id)
            if waiting:
                told()

        told()
        jobs = [self._job(stage, bases, apart, max(processors // count, 1)) for stage in stages]
        made = in_threads(jobs, count, done, stop=apart.stop)
        return [self._judged(stage, each) for stage, each in zip(stages, made, strict=True)]

    def _job(self, stage: Stage, bases: Mapping[str, Path], apart: Apart, threads: int) -> Callable[[], Made]:
        out, own = self._out(stage), self.work / f"{stage.id}.job"
        shown = shown_to(self.found.spec)
        job = Job(
            stage=stage.id,
            directory=str(self.found.place),
            out=str(out),
            base=str(bases[stage.base]) if stage.base else None,
            tokens=str(self._ids),
            real=self.tokens.real,
            window=shown.window,
            at_once=shown.at_once,
            preset=self.asked.preset or preset_here(),
            importance=None if self.importance is None else str(self._columns),
            tokenizer=self.asked.tokenizer,
            general=self._general,
        )

        def run() -> Made:
            out.parent.mkdir(exist_ok=True)
            own.mkdir()
            made = apart.run(job, own, threads)
            shutil.rmtree(own, ignore_errors=True)
            return made

        return run

    @property
    def _general(self) -> dict[str, Any]:
        """What is said about the model."""
        said = {"type": "model", "name": self.found.title, "basename": base_name(self.found.title), "version": VERSION}
        words = self.found.words
        return {
            **said,
            "size_label": size_label(self.size.distinct),
            **({"license": words.license.id} if words.license else {}),
            **({"languages": list(words.languages)} if words.languages else {}),
        }

    def _judged(self, stage: Stage, made: Made) -> Form:
        folder = self._out(stage).parent
        made_from = BY_ID[stage.base].path(self.found.name) if stage.base else self.found.weights
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
        place = self.found.place
        aside = place.with_name(f"{place.name}.rejected")
        with explained(aside):
            for file in report.files:
                to = aside / file.name
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self.work / file.name, to)
        return aside / report.files[0].name
