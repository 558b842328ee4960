"""Level `logits`: the written model computes the trained model's function. Imports torch and transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.naming import to_slots
from ckpt2hf.ops import Mosaic
from ckpt2hf.tokenizers import spoken
from ckpt2hf.verify.elsewhere import Elsewhere, needs_other
from ckpt2hf.verify.logits import compare_logits
from ckpt2hf.verify.rounding import measure_rounding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.plan import Plan
    from ckpt2hf.verify.verdict import Check


def check_function(
    directory: Path,
    plan: Plan,
    formats: Sequence[WeightFormat],
    *,
    progress: Callable[[str], None],
    python: Path | None = None,
) -> tuple[Check, ...]:
    """The checks of the function itself.

    When the user asked for another number type, the written model is held against the rounded numbers, which proves the
    mapping, and the price of the rounding is measured against the trained model. `python` compares classes that the
    transformers beside us does not have.
    """
    compare = Elsewhere(python, plan.target) if python and needs_other(plan.target) else compare_logits
    kinds = [kind.value for kind in formats]
    text = spoken(plan.tokenizer.source) if plan.tokenizer else None
    if not plan.rounds:
        return compare(
            directory,
            kinds,
            spec=plan.spec,
            slots=plan.slots,
            modules=plan.target.modules,
            exactness=plan.exactness,
            rewritten=plan.activations,
            text=text,
            progress=progress,
        )
    rounded = to_slots(plan.links, {name: Mosaic.of(tensor) for name, tensor in plan.tensors.items()})
    checks = compare(
        directory, kinds, spec=plan.final_spec, slots=rounded, modules=plan.target.modules, text=text, progress=progress
    )
    progress("measuring the price of rounding")
    return (*checks, measure_rounding((plan.spec, plan.slots), (plan.final_spec, plan.final_slots), rounded))
