"""A finished conversion or verification, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from ckpt2hf.cli.console import ERR, OUT, rows
from ckpt2hf.ir import written
from ckpt2hf.output import SUMS
from ckpt2hf.report import evidence_lines
from ckpt2hf.report.wording import EXACTNESS, reasons_left_out, size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ckpt2hf.report import Report, VerdictReport
    from ckpt2hf.report.evidence import EvidenceReport
    from ckpt2hf.report.parts import CheckReport
    from ckpt2hf.report.report import FactReport, TokenizerReport

_SHOWN_ORIGINS = {"dialect", "user", "metadata", "reference", "sample", "side file", "module"}


def show_report(report: Report, *, quiet: bool) -> None:
    """The summary on stdout; findings and a negative verdict also when quiet, on stderr."""
    if not quiet:
        rows(_summary(report))
    for finding in report.health:
        rows([(finding.severity, f"[{finding.code}] {finding.message}", "yellow")], ERR)
        rows([("", ", ".join(finding.names), "")], ERR)
    warned = report.tokenizer.checks if report.tokenizer and report.tokenizer.policy == "warn" else ()
    show_checks(warned, quiet=quiet, failed=("WARN", "yellow"))
    show_verdict(report.verdict, report.output, quiet=quiet)
    if report.verdict.proved and not quiet:
        OUT.print()
        rows([("use it", _use(str(report.output)), "")])
        if report.tokenizer and "://" not in str(report.output):
            rows([("", f"AutoTokenizer.from_pretrained({str(report.output)!r})", "")])
    if not report.verdict.proved:
        ERR.print(f"nothing was written to {report.output}", markup=False)


def _use(output: str) -> str:
    """How the result is loaded; transformers knows no URLs."""
    if "://" in output:
        return f"fetch {output}, then AutoModelForCausalLM.from_pretrained on the local directory"
    return f"AutoModelForCausalLM.from_pretrained({output!r})"


def fact_rows(label: str, facts: Iterable[FactReport]) -> Iterator[tuple[str, str, str]]:
    """A table of facts: field, value, where it comes from; without what every model of the family has."""
    for k, fact in enumerate(fact for fact in facts if fact.origin != "family"):
        yield label if k == 0 else "", f"{fact.field:18}  {written(fact.value):15}  {fact.origin}: {fact.where}", ""


def tokenizer_rows(tokenizer: TokenizerReport | None) -> Iterator[tuple[str, str, str]]:
    """What ids are made with."""
    if tokenizer is None:
        yield "tokenizer", "none: nothing that is known lies beside the checkpoint (--tokenizer FILE)", "dim"
        return
    yield "tokenizer", f"{', '.join(file.name for file in tokenizer.files)}  ({tokenizer.format})", ""
    for each in tokenizer.specials:
        yield "", f"{each.role:4} {each.token!r} ({each.id}), by {each.origin}", ""
    for note in tokenizer.notes:
        yield "", note, "yellow"


def evidence_rows(evidence: EvidenceReport | None) -> Iterator[tuple[str, str, str]]:
    """The table of what a sample showed, and what follows."""
    if evidence is None:
        return
    for k, line in enumerate(evidence_lines(evidence)):
        yield "sample" if k == 0 else "", line, ""
    if not evidence.learned:
        yield "", "it decides nothing: this model predicts it no better than word counts do", "yellow"


def _summary(report: Report) -> Iterator[tuple[str, str, str]]:
    source = report.source
    total = sum(file.bytes for file in source.files)
    at = f", under {source.weights_key!r}" if source.weights_key else ""
    stripped = f", prefixes {' '.join(source.prefixes)} taken off" if source.prefixes else ""
    yield "source", f"{source.path}  ({source.container}, {size(total)}{at}{stripped})", ""
    yield "dialect", f"{report.dialect.name}: {report.dialect.layout}", ""
    yield "", report.dialect.reason, "dim"
    yield from fact_rows("facts", (fact for fact in report.facts if fact.origin in _SHOWN_ORIGINS))
    yield from evidence_rows(report.evidence)
    for k, made in enumerate(report.rewrites):
        yield "rewrites" if k == 0 else "", f"{made.id} ({made.exactness})", ""
    if report.left_out:
        reasons = reasons_left_out(report.left_out)
        yield "left out", ", ".join(f"{count} x {why}" for why, count in reasons.items()), ""
    yield from tokenizer_rows(report.tokenizer)
    for note in report.notes:
        yield "note", note, "yellow"
    meaning = EXACTNESS.get(report.exactness, "").format(dtype=report.dtype)
    yield "exactness", f"{report.exactness}: {meaning}" if meaning else report.exactness, ""
    for k, file in enumerate(report.files):
        yield "files" if k == 0 else "", f"{file.name}  {size(file.bytes)}", ""


def show_look(verdict: VerdictReport, directory: Path | str, *, quiet: bool) -> None:
    """Every check, and in plain words what they do not show."""
    show_checks(verdict.checks, quiet=quiet)
    if not verdict.proved:
        ERR.print(Text.assemble(("error[verify]", "bold red"), f": {directory} is not as it should be"))
    elif not quiet:
        summed = any(check.name == SUMS for check in verdict.checks)
        rows([("intact" if summed else "readable", f"{directory}", "bold green")])
        rows([("unproved", line, "yellow") for line in _unproved(summed=summed)])


def _unproved(*, summed: bool) -> Iterator[str]:
    if not summed:
        yield f"that no file has changed: there is no {SUMS}"
    yield "that it computes what a checkpoint computes: --against PATH proves that"


def show_verdict(verdict: VerdictReport, directory: Path | str, *, quiet: bool) -> None:
    """Every check, then the verdict; only what failed when quiet."""
    show_checks(verdict.checks, quiet=quiet)
    if verdict.proved and not quiet:
        rows([("proved", f"{directory}  (level {verdict.level})", "bold green")])
    elif not verdict.proved:
        head = ("error[verify]", "bold red")
        ERR.print(Text.assemble(head, f": {directory} is not proved (level {verdict.level})"))


def show_checks(checks: Iterable[CheckReport], *, quiet: bool, failed: tuple[str, str] = ("FAIL", "red")) -> None:
    """Every check; only what failed when quiet."""
    for check in checks:
        if not check.passed:
            rows([(failed[0], f"{check.name}: {check.summary}", failed[1])], ERR)
        elif not quiet:
            rows([("ok", f"{check.name}: {check.summary}", "")])
