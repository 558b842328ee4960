"""A plan, for people and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.cli.console import OUT, rows
from ckpt2hf.cli.show_report import evidence_rows, fact_rows, tokenizer_rows
from ckpt2hf.naming import collapse, stem
from ckpt2hf.report import (
    dialect_report,
    evidence_report,
    fact_reports,
    plain_tree,
    rewrite_reports,
    tensor_reports,
    tokenizer_report,
)
from ckpt2hf.report.wording import size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.api import Plan
    from ckpt2hf.report.report import TensorReport


def show_plan(plan: Plan) -> None:
    """What would be read, understood, rewritten and written."""
    rows(_decisions(plan))
    for what, made_of in folded_tensors(tensor_reports(plan)):
        OUT.print()
        rows([("tensor", what, "bold"), ("", made_of, "")])
    OUT.print()
    rows(_left_out(plan))


def _decisions(plan: Plan) -> Iterator[tuple[str, str, str]]:
    dialect = dialect_report(plan.candidate)
    yield "source", f"{plan.checkpoint.path}  ({plan.checkpoint.container})", ""
    yield "dialect", f"{dialect.name}: {dialect.layout}", ""
    yield "", dialect.reason, "dim"
    yield from fact_rows("facts", fact_reports(plan.candidate.resolution.facts))
    yield from evidence_rows(evidence_report(plan.candidate.weighing))
    for k, made in enumerate(rewrite_reports(plan)):
        yield "rewrites" if k == 0 else "", f"{made.id} ({made.exactness})", ""
        yield "", made.why, "dim"
    yield "target", f"{plan.target.hf_class}, {size(plan.nbytes)} a weight file, {plan.exactness.value}", ""
    yield from tokenizer_rows(tokenizer_report(plan.tokenizer) if plan.tokenizer else None)
    for note in plan.notes:
        yield "note", note, "yellow"


def folded_tensors(tensors: tuple[TensorReport, ...]) -> Iterator[tuple[str, str]]:
    """Each kind of tensor: what it is, and what it is made of."""
    groups: dict[tuple[object, ...], list[TensorReport]] = {}
    for tensor in tensors:
        groups.setdefault((stem(tensor.name), tensor.shape, tensor.dtype, tensor.how), []).append(tensor)
    for same in groups.values():
        names = collapse(tensor.name for tensor in same)
        sources = collapse(dict.fromkeys(source for tensor in same for source in tensor.sources))
        made_of = f"{same[0].how}  <-  {', '.join(sources)}" if sources else same[0].how
        yield f"{', '.join(names)}  {list(same[0].shape)} {same[0].dtype}", made_of


def _left_out(plan: Plan) -> Iterator[tuple[str, str, str]]:
    ties, drops = plan.assignment.ties, plan.assignment.drops
    for name, twin in zip(collapse(ties), collapse(ties.values()), strict=True):
        yield "tied", f"{name} = {twin}", ""
    for kind in dict.fromkeys(drops.values()):
        names = collapse(name for name, expected in drops.items() if expected is kind)
        yield "left out", f"{', '.join(names)}  (once proved to be a {kind.value.replace('_', ' ')})", ""


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as data."""
    tree: dict[str, Any] = plain_tree(
        {
            "source": plan.checkpoint.path,
            "container": plan.checkpoint.container,
            "dialect": dialect_report(plan.candidate),
            "facts": fact_reports(plan.candidate.resolution.facts),
            "evidence": evidence_report(plan.candidate.weighing),
            "spec": plan.spec.as_json(),
            "target": plan.target.hf_class,
            "rewrites": rewrite_reports(plan),
            "exactness": plan.exactness,
            "config": dict(plan.config),
            "tokenizer": tokenizer_report(plan.tokenizer) if plan.tokenizer else None,
            "tensors": tensor_reports(plan),
            "ties": dict(plan.assignment.ties),
            "left_out": dict(plan.assignment.drops),
            "bytes": plan.nbytes,
            "notes": plan.notes,
        }
    )
    return tree
