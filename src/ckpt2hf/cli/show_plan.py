"""A plan, for people and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.cli.console import OUT, rows, size
from ckpt2hf.naming import collapse
from ckpt2hf.report import dialect_report, fact_reports, plain_tree, rewrite_reports, tensor_reports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.api import Plan
    from ckpt2hf.report.report import TensorReport


def show_plan(plan: Plan) -> None:
    """What would be read, understood, rewritten and written."""
    dialect = dialect_report(plan.candidate)
    rows(
        [
            ("source", f"{plan.checkpoint.path}  ({plan.checkpoint.container})", ""),
            ("dialect", f"{dialect.id}: {dialect.layout}", ""),
            ("", dialect.reason, "dim"),
        ]
    )
    for k, fact in enumerate(fact_reports(plan.candidate.resolution.facts)):
        rows([("facts" if k == 0 else "", f"{fact.field:16} {fact.value!s:15} {fact.origin}: {fact.where}", "")])
    for k, made in enumerate(rewrite_reports(plan)):
        rows([("rewrites" if k == 0 else "", f"{made.id} ({made.exactness}): {made.why}", "")])
    rows([("target", f"{plan.target.hf_class}, {size(plan.nbytes)} a weight file, {plan.exactness.value}", "")])
    rows(("note", note, "yellow") for note in plan.notes)
    for group in _folded(tensor_reports(plan)):
        OUT.print(group, markup=False)
    ties, drops = plan.assignment.ties, plan.assignment.drops
    rows(("tied", f"{name} = {twin}", "") for name, twin in zip(collapse(ties), collapse(ties.values()), strict=True))
    for kind in dict.fromkeys(drops.values()):
        names = collapse(name for name, expected in drops.items() if expected is kind)
        rows([("left out", f"{', '.join(names)}  (once proved to be a {kind.value.replace('_', ' ')})", "")])


def _folded(tensors: tuple[TensorReport, ...]) -> Iterator[str]:
    """Two lines per kind of tensor: what it is, and what it is made of."""
    groups: dict[tuple[object, ...], list[TensorReport]] = {}
    for tensor in tensors:
        bare = "".join(c for c in tensor.name if not c.isdecimal())
        groups.setdefault((bare, tensor.shape, tensor.dtype, tensor.how), []).append(tensor)
    for same in groups.values():
        names = collapse(tensor.name for tensor in same)
        sources = collapse(dict.fromkeys(source for tensor in same for source in tensor.sources))
        yield f"\n{', '.join(names)}  {list(same[0].shape)} {same[0].dtype}"
        yield f"    {same[0].how}" + (f"  <-  {', '.join(sources)}" if sources else "")


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as data."""
    tree: dict[str, Any] = plain_tree(
        {
            "source": plan.checkpoint.path,
            "container": plan.checkpoint.container,
            "dialect": dialect_report(plan.candidate),
            "facts": fact_reports(plan.candidate.resolution.facts),
            "spec": plan.spec.as_json(),
            "target": plan.target.hf_class,
            "rewrites": rewrite_reports(plan),
            "exactness": plan.exactness,
            "config": dict(plan.config),
            "tensors": tensor_reports(plan),
            "ties": dict(plan.assignment.ties),
            "left_out": dict(plan.assignment.drops),
            "bytes": plan.nbytes,
            "notes": plan.notes,
        }
    )
    return tree
