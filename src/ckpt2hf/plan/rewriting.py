"""A model turned into one that an architecture can express, by identities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import InexactError, UnsupportedError
from ckpt2hf.rewrites import Exactness

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.ops import Mosaic
    from ckpt2hf.rewrites import Rewrite, Rewritten
    from ckpt2hf.targets import Architecture

NO_CLASS = "no stock class is known for it; it needs custom modelling code, which ckpt2hf does not write"


def rewritten(
    architecture: Architecture,
    spec: ModelSpec,
    slots: Mapping[str, Mosaic],
    rewrites: Sequence[Rewrite],
    allow: tuple[Exactness, ...],
    *,
    where: str,
    remedy: str = NO_CLASS,
) -> tuple[Rewritten, ...]:
    """Identities applied until the architecture accepts the spec, if possible one that every release of it opens.

    Raises UnsupportedError naming what is left, or InexactError where what is not allowed would do.
    """
    made: list[Rewritten] = []
    asked = {problem.field: problem for problem in architecture.problems(spec)}
    for rewrite in rewrites:
        if any(p.field == rewrite.solves for p in (*architecture.problems(spec), *architecture.restrictions(spec))):
            after = rewrite.apply(spec, slots)
            if after:
                made.append(after)
                spec, slots = after.spec, after.slots
    left = architecture.problems(spec)
    if left:
        raise UnsupportedError(
            f"{architecture.title} cannot express this model",
            details=[f"{asked.get(p.field, p).field:18} {asked.get(p.field, p).message}" for p in left],
            where=where,
            remedies=[remedy],
        )
    inexact = [each for each in made if each.exactness is Exactness.NUMERICAL]
    if inexact and Exactness.NUMERICAL not in allow:
        raise InexactError(
            f"{architecture.title} computes this model almost, but not exactly",
            details=[f"{each.id}: {each.why}" for each in inexact],
            where=where,
            remedies=["--allow numerically-equal   (logits agree to 2e-5 of their spread, which is checked)"],
        )
    return tuple(made)
