"""A finished conversion or verification, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.cli.console import ERR, OUT, rows, size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.report import Report, VerdictReport

_SHOWN_ORIGINS = {"dialect", "user", "metadata", "reference", "side file", "module"}


def show_report(report: Report, *, quiet: bool) -> None:
    """The summary on stdout; findings and a negative verdict also when quiet, on stderr."""
    if not quiet:
        rows(_summary(report))
    for finding in report.health:
        ERR.print(f"[yellow]{finding.severity}\\[{finding.code}][/]: {finding.message}")
        ERR.print("  " + ", ".join(finding.names), markup=False)
    show_verdict(report.verdict, report.output, quiet=quiet)
    if report.verdict.proved and not quiet:
        OUT.print(f"\n[cyan]use it    [/]AutoModelForCausalLM.from_pretrained({str(report.output)!r})")
    if not report.verdict.proved:
        ERR.print(f"nothing was written to {report.output}", markup=False)


def _summary(report: Report) -> Iterator[tuple[str, str, str]]:
    source = report.source
    total = sum(file.bytes for file in source.files)
    at = f", under {source.weights_key!r}" if source.weights_key else ""
    stripped = f", prefixes {' '.join(source.prefixes)} taken off" if source.prefixes else ""
    yield "source", f"{source.path}  ({source.container}, {size(total)}{at}{stripped})", ""
    yield "dialect", f"{report.dialect.id}: {report.dialect.layout}", ""
    yield "", report.dialect.reason, "dim"
    facts = [fact for fact in report.facts if fact.origin in _SHOWN_ORIGINS]
    for k, fact in enumerate(facts):
        yield "facts" if k == 0 else "", f"{fact.field:16} {fact.value!s:15} {fact.origin}: {fact.where}", ""
    for k, made in enumerate(report.rewrites):
        yield "rewrites" if k == 0 else "", f"{made.id} ({made.exactness})", ""
    if report.left_out:
        reasons: dict[str, int] = {}
        for left in report.left_out:
            key = left.why if not left.why.startswith(("shares", "equal")) else "second name of a tied tensor"
            reasons[key] = reasons.get(key, 0) + 1
        yield "left out", ", ".join(f"{count} x {why}" for why, count in reasons.items()), ""
    for note in report.notes:
        yield "note", note, "yellow"
    yield "exactness", report.exactness + (f", rounded to {report.dtype}" if report.exactness == "rounded" else ""), ""
    for k, file in enumerate(report.files):
        yield "files" if k == 0 else "", f"{file.name}  {size(file.bytes)}", ""


def show_verdict(verdict: VerdictReport, directory: Path | str, *, quiet: bool) -> None:
    """Every check, then the verdict; only what failed when quiet."""
    for check in verdict.checks:
        mark, style = ("ok  ", "green") if check.passed else ("FAIL", "bold red")
        if not quiet or not check.passed:
            stream = OUT if check.passed else ERR
            stream.print(f"[{style}]{mark}[/]      {check.name}: ", end="")
            stream.print(check.summary, markup=False)
    if verdict.proved and not quiet:
        OUT.print(f"[bold green]proved[/]    {directory}  (level {verdict.level})")
    elif not verdict.proved:
        ERR.print(f"[bold red]error\\[verify][/]: {directory} is not proved (level {verdict.level})")
