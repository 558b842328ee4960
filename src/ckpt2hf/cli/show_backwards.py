"""A checkpoint made of a Hugging Face directory, or the plan of one, for people and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.cli.console import ERR, OUT, rows
from ckpt2hf.cli.show_plan import folded_tensors
from ckpt2hf.cli.show_report import fact_rows, show_verdict
from ckpt2hf.ir import plain
from ckpt2hf.naming import collapse
from ckpt2hf.report import back_facts, plain_tree, rewrite_reports, tensor_reports
from ckpt2hf.report.wording import EXACTNESS, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.api import BackPlan, BackReport


def show_back_report(report: BackReport, *, quiet: bool) -> None:
    """The summary on stdout; findings and a negative verdict also when quiet, on stderr."""
    if not quiet:
        total = sum(file.bytes for file in report.source_files)
        rows([("source", f"{report.source}  ({report.hf_class}, {size(total)})", "")])
        rows(_towards(report.dialect, report.layout, report.answers))
        for k, made in enumerate(report.rewrites):
            rows([("rewrites" if k == 0 else "", f"{made.id} ({made.exactness})", "")])
        rows(_besides(report.second_names, report.made, report.beside))
        rows([("exactness", f"{report.exactness}: {EXACTNESS[report.exactness]}", "")])
        rows([("file", f"{report.output}  {size(report.bytes)}", "")])
    for finding in report.health:
        rows([(finding.severity, f"[{finding.code}] {finding.message}", "yellow")], ERR)
        rows([("", ", ".join(finding.names), "")], ERR)
    show_verdict(report.verdict, report.output, quiet=quiet)
    if not report.verdict.proved:
        ERR.print(f"nothing was written to {report.output}", markup=False)


def _towards(dialect: str, layout: str, answers: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield "for", f"{dialect}: {layout}", ""
    for k, (name, value) in enumerate(answers.items()):
        yield "your code" if k == 0 else "", f"{name:16}  {value!s:15}  has to be so: the file does not show it", ""


def _besides(
    same: Mapping[str, str], made: tuple[str, ...], beside: Mapping[str, object]
) -> Iterator[tuple[str, str, str]]:
    for name, holder in zip(collapse(same), collapse(same.values()), strict=False):
        yield "tied", f"{name} = {holder}", ""
    if made:
        yield "made", f"{', '.join(collapse(made))}  (carry no knowledge)", ""
    if beside:
        shown = ", ".join(path if isinstance(value, dict) else f"{path}={value}" for path, value in beside.items())
        yield "beside", shown, ""


def show_back_plan(plan: BackPlan) -> None:
    """What would be read, rewritten and written."""
    rows([("source", f"{plan.checkpoint.path}  ({plan.target.hf_class})", "")])
    rows(fact_rows("facts", (fact for fact in back_facts(plan) if fact.origin == "side file")))
    rows(_towards(plan.dialect.name, plan.layout.title, {name: plain(f.value) for name, f in plan.answers.items()}))
    for k, made in enumerate(rewrite_reports(plan)):
        rows([("rewrites" if k == 0 else "", f"{made.id} ({made.exactness})", ""), ("", made.why, "dim")])
    rows([("writes", f"{size(plan.nbytes)}, {plan.exactness.value}", "")])
    for what, made_of in folded_tensors(tensor_reports(plan)):
        OUT.print()
        rows([("tensor", what, "bold"), ("", made_of, "")])
    OUT.print()
    rows(_besides(plan.file.same, tuple(sorted(plan.file.buffers)), plan.file.beside))


def back_plan_json(plan: BackPlan) -> dict[str, Any]:
    """The plan as data."""
    tree: dict[str, Any] = plain_tree(
        {
            "source": plan.checkpoint.path,
            "hf_class": plan.target.hf_class,
            "facts": back_facts(plan),
            "dialect": plan.dialect.name,
            "layout": plan.layout.title,
            "answers": {name: plain(fact.value) for name, fact in plan.answers.items()},
            "rewrites": rewrite_reports(plan),
            "exactness": plan.exactness,
            "spec": plan.final_spec.as_json(),
            "tensors": tensor_reports(plan),
            "second_names": dict(plan.file.same),
            "made": sorted(plan.file.buffers),
            "beside": dict(plan.file.beside),
            "bytes": plan.nbytes,
        }
    )
    return tree
