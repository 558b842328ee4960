"""The report of a checkpoint that was made of a Hugging Face directory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import plain
from ckpt2hf.report.build import rewrite_reports, tensor_reports, verdict_report, versions
from ckpt2hf.report.parts import FileReport
from ckpt2hf.report.report import (
    PASSING,
    FactReport,
    FindingReport,
    LeftOutReport,
    RewriteReport,
    TensorReport,
    VerdictReport,
    plain_tree,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.plan import BackPlan
    from ckpt2hf.verify import Finding, Verdict

BACK_SCHEMA = 1
"""Version of the tree; it grows with every change that a reader could trip over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackReport:
    """Everything about one checkpoint made of a Hugging Face directory."""

    schema: int
    """Version of this tree."""
    created: str
    """UTC, ISO 8601; not in the file, which is the same whenever it is made."""
    versions: dict[str, str]
    """ckpt2hf, Python and the packages that wrote or proved."""
    source: str
    """The directory, as the user gave it."""
    source_files: tuple[FileReport, ...]
    """Its weight files."""
    hf_class: str
    """What config.json names."""
    facts: tuple[FactReport, ...]
    """Every field of the spec: from a setting of config.json (`side file`), or from the class (`class`)."""
    dialect: str
    """The training code that the checkpoint is made for."""
    layout: str
    """Which generation of it."""
    code: str
    """Repository, commit and files that describe it."""
    rewrites: tuple[RewriteReport, ...]
    """Identities that were applied, in order."""
    exactness: str
    """`bitwise` or `algebraic`: the loosest of the parts."""
    spec: dict[str, Any]
    """The model as the checkpoint has it."""
    answers: dict[str, Any]
    """Facts that the checkpoint does not show, and that the code has to share."""
    tensors: tuple[TensorReport, ...]
    """Every written tensor and how it came about."""
    second_names: dict[str, str]
    """Names that share the storage of another."""
    made: tuple[str, ...]
    """Masks and tables that carry no knowledge, made as the code makes them."""
    beside: dict[str, Any]
    """What stands in the file besides, by path."""
    left_out: tuple[LeftOutReport, ...]
    """Source tensors that were not written."""
    health: tuple[FindingReport, ...]
    """What is suspicious about the weights themselves."""
    output: str
    """The checkpoint, as the user gave it."""
    bytes: int
    """Its size."""
    verdict: VerdictReport
    """What was proved."""
    seconds: float
    """Time spent; not in the file."""

    def as_json(self) -> dict[str, Any]:
        """The tree as plain JSON values."""
        tree: dict[str, Any] = plain_tree(self)
        return tree

    def lasting(self) -> dict[str, Any]:
        """The tree without what differs from run to run."""
        return {name: value for name, value in self.as_json().items() if name not in PASSING}


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOutcome:
    """What became of a plan."""

    out: Path
    nbytes: int
    left_out: Mapping[str, str]
    findings: tuple[Finding, ...]
    verdict: Verdict
    digests: Mapping[Path, str]
    seconds: float


def build_back_report(plan: BackPlan, outcome: BackOutcome) -> BackReport:
    """The report of a finished run."""
    files = (FileReport(path.name, path.stat().st_size, outcome.digests.get(path)) for path in plan.checkpoint.files)
    return BackReport(
        schema=BACK_SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        source=str(plan.checkpoint.path),
        source_files=tuple(files),
        hf_class=plan.target.hf_class,
        facts=back_facts(plan),
        dialect=plan.dialect.name,
        layout=plan.layout.title,
        code=plan.dialect.source,
        rewrites=rewrite_reports(plan),
        exactness=plan.exactness.value,
        spec=plan.final_spec.as_json(),
        answers={name: plain(fact.value) for name, fact in plan.answers.items()},
        tensors=tensor_reports(plan),
        second_names=dict(plan.file.same),
        made=tuple(sorted(plan.file.buffers)),
        beside=dict(plan.file.beside),
        left_out=tuple(LeftOutReport(name, why) for name, why in outcome.left_out.items()),
        health=tuple(FindingReport(f.severity.value, f.code, f.message, f.names) for f in outcome.findings),
        output=str(outcome.out),
        bytes=outcome.nbytes,
        verdict=verdict_report(outcome.verdict),
        seconds=outcome.seconds,
    )


def back_facts(plan: BackPlan) -> tuple[FactReport, ...]:
    """Every fact of the directory with its origin."""
    return tuple(
        FactReport(name, plain(said.value), "side file" if said.told else "class", said.where)
        for name, said in plan.facts.items()
    )
