"""From a plan and what became of it to a report."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from ckpt2hf import __version__, limits
from ckpt2hf.ir import plain
from ckpt2hf.report.evidence import evidence_report
from ckpt2hf.report.parts import CheckReport, FileReport
from ckpt2hf.report.report import (
    SCHEMA,
    DialectReport,
    FactReport,
    FindingReport,
    LeftOutReport,
    Report,
    RewriteReport,
    SourceReport,
    SpecialReport,
    TensorReport,
    TokenizerReport,
    VerdictReport,
)
from ckpt2hf.tokenizers import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ckpt2hf.dialects import Candidate, Fact
    from ckpt2hf.output import WrittenWeights
    from ckpt2hf.plan import Plan, Way
    from ckpt2hf.tokenizers import Tokenizer
    from ckpt2hf.verify import Check, Finding, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a plan."""

    out: Path
    written: WrittenWeights
    left_out: Mapping[str, str]
    """Why each source tensor that is not written may be left out."""
    findings: tuple[Finding, ...]
    verdict: Verdict
    tokenizer_checks: tuple[Check, ...]
    policy: Policy
    digests: Mapping[Path, str]
    """SHA-256 of every local source file."""
    etags: Mapping[Path, str]
    """What the stores of remote source files call them."""
    options: dict[str, Any]
    """What has to be said again to come to the same plan."""
    seconds: dict[str, float]


def build_report(plan: Plan, outcome: Outcome) -> Report:
    """The report of a finished run."""
    written = outcome.written
    return Report(
        schema=SCHEMA,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        source=_source_report(plan, outcome),
        dialect=dialect_report(plan.candidate),
        facts=fact_reports(plan.candidate.resolution.facts),
        evidence=evidence_report(plan.candidate.weighing),
        spec=plan.spec.as_json(),
        target=plan.target.hf_class,
        rewrites=rewrite_reports(plan),
        exactness=plan.exactness.value,
        dtype=plan.dtype.torch_name if plan.dtype else None,
        tensors=tensor_reports(plan),
        left_out=tuple(LeftOutReport(name, why) for name, why in outcome.left_out.items()),
        notes=plan.notes,
        tokenizer=tokenizer_report(plan.tokenizer, outcome.tokenizer_checks, outcome.policy, outcome.digests)
        if plan.tokenizer
        else None,
        health=tuple(FindingReport(f.severity.value, f.code, f.message, f.names) for f in outcome.findings),
        output=str(outcome.out),
        formats=tuple(dict.fromkeys(path.suffix.removeprefix(".") for path in written.files if path.suffix != ".json")),
        files=tuple(FileReport(path.name, path.stat().st_size) for path in sorted(written.files)),
        verdict=verdict_report(outcome.verdict),
        stages=(),
        options=outcome.options,
        seconds=outcome.seconds,
        peak_memory_bytes=limits.peak_memory(),
    )


def versions() -> dict[str, str]:
    """Every program whose version matters to what was written or proved."""
    found = {"ckpt2hf": __version__, "python": platform.python_version()}
    for package in ("numpy", "tokenizers", "torch", "transformers"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _source_report(plan: Plan, outcome: Outcome) -> SourceReport:
    """Where the weights came from; files are named relative to the checkpoint's directory where they lie in it."""
    at = plan.checkpoint
    base = at.path if at.path.is_dir() else at.path.parent
    files = (
        FileReport(
            str(path.relative_to(base)) if path.is_relative_to(base) else str(path),
            path.stat().st_size,
            outcome.digests.get(path),
            outcome.etags.get(path),
        )
        for path in at.files
    )
    return SourceReport(
        str(at.path), at.container, at.weights_key, tuple(at.prefixes), tuple(files), tuple(sorted(at.side))
    )


def dialect_report(candidate: Candidate) -> DialectReport:
    """What the checkpoint was read as, and why."""
    fit, file = candidate.fit, candidate.fit.dialect.file
    return DialectReport(
        id=fit.dialect.id,
        layout=fit.layout.title,
        reason=candidate.reason,
        source=fit.dialect.source,
        file=file.path.name if file else None,
        sha256=file.sha256 if file else None,
    )


def fact_reports(facts: Mapping[str, Fact]) -> tuple[FactReport, ...]:
    """Every fact with its origin."""
    return tuple(FactReport(name, plain(f.value), f.origin.value, f.where) for name, f in facts.items())


def tensor_reports(plan: Way) -> tuple[TensorReport, ...]:
    """Every written tensor: the source tensors its numbers come from, and the ops in between."""
    origin = {slot: made for made in plan.assignment.links for slot in made.slots}
    changed = {slot: made.id for made in plan.rewrites for slot in (*made.computed, *made.undo)}
    reports = []
    for link in plan.links:
        roots = list(dict.fromkeys(root for slot in link.slots for root in _roots(plan, slot)))
        before = [origin[root] for root in roots]
        sources = dict.fromkeys(plan.assignment.stand_ins.get(n, n) for b in before for n in b.names)
        steps = list(dict.fromkeys(b.describe() for b in before if b.ops))
        steps += list(dict.fromkeys(changed[slot] for slot in link.slots if slot in changed))
        steps += [op.inverse().describe() for op in reversed(link.ops)]
        meta = plan.tensors[link.names[0]].meta
        if plan.rounds:
            steps.append(f"round to {meta.dtype.torch_name}")
        how = ", ".join(steps) or "as it is"
        reports += [TensorReport(name, meta.shape, meta.dtype.torch_name, tuple(sources), how) for name in link.names]
    return tuple(reports)


def _roots(plan: Way, slot: str) -> tuple[str, ...]:
    """The slots of the trained model that a written slot is made of."""
    roots: tuple[str, ...] = (slot,)
    for made in reversed(plan.rewrites):
        roots = tuple(old for root in roots for old in made.computed.get(root, (root,)))
    return roots


def rewrite_reports(plan: Way) -> tuple[RewriteReport, ...]:
    """The identities that were applied, in order."""
    return tuple(RewriteReport(made.id, made.why, made.exactness.value) for made in plan.rewrites)


def verdict_report(verdict: Verdict) -> VerdictReport:
    """The outcome of verification."""
    return VerdictReport(verdict.level, verdict.proved, _check_reports(verdict.checks))


def _check_reports(checks: Iterable[Check]) -> tuple[CheckReport, ...]:
    return tuple(CheckReport(c.name, c.passed, c.summary, dict(c.numbers)) for c in checks)


def tokenizer_report(
    tokenizer: Tokenizer,
    checks: Iterable[Check] = (),
    policy: Policy = Policy.FAIL,
    digests: Mapping[Path, str] | None = None,
) -> TokenizerReport:
    """The tokenizer; its files by their names, because they may lie anywhere."""
    known = digests or {}
    source = tokenizer.source
    return TokenizerReport(
        format=source.format,
        files=tuple(FileReport(p.name, p.stat().st_size, known.get(p)) for p in source.files),
        original=source.original.library,
        specials=tuple(SpecialReport(each.role, each.token, each.id, each.origin) for each in tokenizer.specials),
        checks=_check_reports(checks),
        policy=policy.value,
        notes=tokenizer.notes,
    )
