"""From a plan and what became of it to a report."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING

from ckpt2hf import __version__
from ckpt2hf.ir.spec import plain
from ckpt2hf.report.report import (
    CheckReport,
    DialectReport,
    FactReport,
    FindingReport,
    RewriteReport,
    SourceReport,
    TensorReport,
    VerdictReport,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ckpt2hf.dialects import Candidate, Fact
    from ckpt2hf.plan import Plan
    from ckpt2hf.report.report import FileReport
    from ckpt2hf.verify import Finding, Verdict


def versions() -> dict[str, str]:
    """Every program whose version matters to what was written or proved."""
    found = {"ckpt2hf": __version__, "python": platform.python_version()}
    for package in ("numpy", "torch", "transformers"):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def source_report(plan: Plan, files: Iterable[FileReport]) -> SourceReport:
    """Where the weights came from."""
    at = plan.checkpoint
    return SourceReport(
        str(at.path), at.container, at.weights_key, tuple(at.prefixes), tuple(files), tuple(sorted(at.side))
    )


def dialect_report(candidate: Candidate) -> DialectReport:
    """What the checkpoint was read as, and why."""
    fit = candidate.fit
    return DialectReport(fit.dialect.id, fit.layout.title, candidate.reason, fit.dialect.source)


def fact_reports(facts: Mapping[str, Fact]) -> tuple[FactReport, ...]:
    """Every fact with its origin."""
    return tuple(FactReport(name, plain(f.value), f.origin.value, f.where) for name, f in facts.items())


def tensor_reports(plan: Plan) -> tuple[TensorReport, ...]:
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


def _roots(plan: Plan, slot: str) -> tuple[str, ...]:
    """The slots of the trained model that a written slot is made of."""
    roots: tuple[str, ...] = (slot,)
    for made in reversed(plan.rewrites):
        roots = tuple(old for root in roots for old in made.computed.get(root, (root,)))
    return roots


def rewrite_reports(plan: Plan) -> tuple[RewriteReport, ...]:
    """The identities that were applied, in order."""
    return tuple(RewriteReport(made.id, made.why, made.exactness.value) for made in plan.rewrites)


def finding_reports(findings: Iterable[Finding]) -> tuple[FindingReport, ...]:
    """What is suspicious about the weights."""
    return tuple(FindingReport(f.severity.value, f.code, f.message, f.names) for f in findings)


def verdict_report(verdict: Verdict) -> VerdictReport:
    """The outcome of verification."""
    checks = tuple(CheckReport(c.name, c.passed, c.summary, dict(c.numbers)) for c in verdict.checks)
    return VerdictReport(verdict.level, verdict.proved, checks)


def file_name(path: Path, base: Path) -> str:
    """A file's name relative to a directory where it lies inside, else in full."""
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
