"""The health of the weights that were written, in the names of slots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import HealthError
from ckpt2hf.ops import identical
from ckpt2hf.verify import Severity, health

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.output import TensorStats
    from ckpt2hf.plan import Way
    from ckpt2hf.verify import Finding


def suspicions(plan: Way, stats: Mapping[str, TensorStats], *, allow_nonfinite: bool) -> tuple[Finding, ...]:
    """What is suspicious about the source's numbers. Raises HealthError for NaN and infinity unless allowed."""
    computed = {slot for made in plan.rewrites for slot in made.computed}
    names = {link.names[0]: _label(link.slots) for link in plan.links if not computed.issuperset(link.slots)}
    back = {label: name for name, label in names.items()}
    findings = health(
        {label: stats[name] for name, label in names.items()},
        lambda a, b: identical(plan.tensors[back[a]], plan.tensors[back[b]]),
    )
    fatal = [finding for finding in findings if finding.severity is Severity.ERROR]
    if fatal and not allow_nonfinite:
        raise HealthError(
            fatal[0].message,
            details=fatal[0].names,
            where=str(plan.checkpoint.path),
            remedies=["--allow-nonfinite   converts it all the same"],
        )
    return findings


def _label(slots: tuple[str, ...]) -> str:
    """One slot's name, or one name for the fused q, k and v."""
    return slots[0] if len(slots) == 1 else slots[0].replace(".q.", ".qkv.")
