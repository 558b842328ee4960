"""What is asked about other forms of a model, and what can be said against it before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError, UsageError
from ckpt2hf.output import write_json
from ckpt2hf.plan import as_gguf, open_directory, plan_gguf
from ckpt2hf.remote import is_remote
from ckpt2hf.run.stage_tokens import Calibration
from ckpt2hf.stages import (
    GGUF,
    ONNX,
    Gates,
    Size,
    bases_of,
    preflight,
    require_reach,
    require_room,
    stages_named,
)
from ckpt2hf.stages.gguf.fallback import fallbacks
from ckpt2hf.stages.gguf.vocabulary import vocabulary_of
from ckpt2hf.tokenizers import tables
from ckpt2hf.verify import LIBRARIES
from ckpt2hf.verify.effort import last, windows_at_once

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.plan import GgufPlan, Plan
    from ckpt2hf.report import StageReport
    from ckpt2hf.stages import Command, Stage
    from ckpt2hf.tokenizers import Tokenizer
    from ckpt2hf.verify import Level

_WINDOW = 512
"""Tokens that a model is shown at a time; more where that costs little, or where attention slides."""
_LEFT = 160 << 20
"""Bytes that the allocator keeps after a conversion, besides the libraries."""


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
    tokenizer: bool = True
    """Whether GGUF files get the directory's tokenizer; without one, llama.cpp takes and gives ids only."""
    imatrix: str | None = None
    """A file of text or token ids that says which columns of a matrix matter to the quantizer, or `auto`."""
    fallback: bool = True
    """Whether matrices whose rows do not fit a type may get another one."""
    keep_rejected: bool = False
    log: Path | None = None
    """Where to keep what the processes say; None for a file beside the directory."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What is made and stays. Raises UsageError for what is no form."""
        return stages_named(self.forms, self.command)

    @property
    def needed(self) -> tuple[Stage, ...]:
        """The same, and what all of it is made from."""
        return (*bases_of(self.stages), *self.stages)

    def has(self, family: str) -> bool:
        """Whether a form of such a family is made."""
        return any(stage.family == family for stage in self.stages)

    @property
    def sample(self) -> Calibration:
        """What forms are measured on."""
        return Calibration(self.calibration, self.calibration_dtype, self.max_tokens)


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


@dataclass(frozen=True, slots=True)
class Shown:
    """How a model is shown tokens."""

    window: int
    """At a time, in a sequence."""
    at_once: int
    """Sequences."""


def shown_to(spec: ModelSpec) -> Shown:
    """How a model of this form is shown tokens."""
    window = min(spec.context, max(_WINDOW, last(spec), 2 * spec.sliding_window))
    return Shown(window, windows_at_once(window, spec.vocab, spec.heads))


def size_of(spec: ModelSpec, shapes: Iterable[tuple[int, ...]]) -> Size:
    """What decides how much memory the forms of such a model take, whose tensors have these shapes."""
    distinct = sum(map(prod, shapes))
    shown = shown_to(spec)
    return Size(
        weights=distinct + (spec.vocab * spec.d_model if spec.tied else 0),
        distinct=distinct,
        logits=shown.window * shown.at_once * spec.vocab,
    )


def require_possible(asked: FormsRequest, hf_class: str) -> None:
    """Refuse forms that cannot be made of such a class, here. Raises UsageError."""
    if is_remote(asked.directory):
        raise UsageError("other forms are made in a local directory", where=str(asked.directory))
    stages = asked.stages
    if problems := preflight(hf_class, asked.needed):
        raise UsageError(
            f"{asked.command.value} cannot make {', '.join(stage.id for stage in stages)}",
            details=problems,
            where=str(asked.directory),
            remedies=_remedies(problems),
        )
    if asked.imatrix is not None and all(stage.maker != "quantized" for stage in stages):
        raise UsageError("--imatrix is about quantized GGUF files", remedies=["--to gguf-q4_k_m"])
    if asked.preset is not None and all(stage.maker != "int8" for stage in stages):
        raise UsageError("--cpu is about int8, which is not among the forms", remedies=["--to onnx-q8"])


def require_expressible(asked: FormsRequest) -> None:
    """Refuse forms that cannot hold what is in the directory: its weights, its model, its tokenizer.

    Raises UsageError, UnsupportedError, TokenizerError.
    """
    where = str(asked.directory)
    if asked.has(ONNX.family):
        checkpoint, _ = open_directory(asked.directory)
        require_reach(asked.stages, ONNX.family, checkpoint.tensors, where)
    if asked.has(GGUF.family):
        plan = plan_gguf(asked.directory)
        _require_types(asked, plan, where)
        if asked.tokenizer:
            vocabulary_of(asked.directory, plan.spec.vocab)


def require_forms(asked: FormsRequest, level: Level, plan: Plan) -> None:
    """Refuse, before a conversion that proves this level begins, forms that could not be made of its result.

    Raises UsageError, NotFoundError, UnsupportedError, TokenizerError, ResourceError.
    """
    require_possible(asked, plan.target.hf_class)
    asked.sample.require(plan.spec.vocab, tokenizer=plan.tokenizer is not None)
    require_ratio(asked)
    where = str(plan.checkpoint.path)
    require_reach(asked.stages, ONNX.family, plan.tensors, where)
    if asked.has(GGUF.family):
        made = as_gguf(plan.target.hf_class, plan.final_spec, plan.final_slots, where)
        _require_types(asked, made, where)
        if asked.tokenizer and plan.tokenizer:
            _require_vocabulary(plan.tokenizer, plan.final_spec.vocab)
    size = size_of(plan.spec, (tensor.meta.shape for tensor in plan.tensors.values()))
    require_room(asked.needed, size, beside=LIBRARIES[level] + _LEFT)


def _require_types(asked: FormsRequest, plan: GgufPlan, where: str) -> None:
    """Refuse types that not all matrices can have: for their numbers, or for their rows. Raises UsageError."""
    require_reach(asked.stages, GGUF.family, plan.matrices, where)
    stages = (stage for stage in asked.stages if "types" in stage.settings)
    found = [f"{stage.id}: {line}" for stage in stages for line in fallbacks(plan, stage)]
    if found and not asked.fallback:
        raise UsageError(
            "not every matrix can have the type that was asked for",
            details=found,
            where=where,
            remedies=["without --no-fallback, they get the other one", "--to gguf-q8_0   fits rows that 32 divides"],
        )


def _require_vocabulary(tokenizer: Tokenizer, rows: int) -> None:
    """Refuse a tokenizer that llama.cpp cannot express, from the files that will be written. Raises TokenizerError."""
    with TemporaryDirectory() as folder:
        for name, table in tables(tokenizer).items():
            write_json(Path(folder) / name, table)
        try:
            vocabulary_of(Path(folder), rows)
        except TokenizerError as error:
            error.where = str(tokenizer.source.files[0])
            raise


def require_ratio(asked: FormsRequest) -> None:
    """Refuse a limit on how well a text is predicted where there is none. Raises UsageError."""
    if asked.gates.max_ppl_ratio is not None and asked.calibration is None:
        raise UsageError("--max-ppl-ratio needs a text to predict", remedies=["--calibration FILE"])


def _remedies(problems: list[str]) -> list[str]:
    known = [each.partition(": ")[2] for each in problems if "not installed" in each]
    return list(dict.fromkeys(known)) or ["docs/onnx.md   says which classes have these forms"]
