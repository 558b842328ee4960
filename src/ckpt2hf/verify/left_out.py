"""Proofs for tensors that are not written: each is what its dialect says it is, or the conversion is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import MappingError
from ckpt2hf.naming import collapse
from ckpt2hf.ops import identical
from ckpt2hf.verify.superfluous import PROOFS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.plan import Way


def prove_left_out(plan: Way) -> Mapping[str, str]:
    """Why each tensor that is not written may be left out. Raises MappingError naming those that may not."""
    tensors, reasons, wrong = plan.checkpoint.tensors, {}, []
    for name, twin in plan.assignment.ties.items():
        if tensors[name].same_place(tensors[twin]):
            reasons[name] = f"shares storage with {twin}"
        elif identical(tensors[name], tensors[twin]):
            reasons[name] = f"equal to {twin}, every bit"
        else:
            wrong.append(f"{name}  differs from {twin}, which the dialect says it equals")
    for name, expected in plan.assignment.drops.items():
        problem = PROOFS[expected](tensors[name].load(), plan.spec)
        if problem:
            wrong.append(f"{name}  {problem}")
        else:
            reasons[name] = f"a {expected.value.replace('_', ' ')}"
    if wrong:
        raise MappingError(
            f"{len(wrong)} tensors may not be left out",
            details=collapse(wrong),
            where=f"{plan.checkpoint.path}, read as {plan.read_as}",
            remedies=["this is not the model the dialect describes: name another one, or ask with --reference"],
        )
    return reasons
