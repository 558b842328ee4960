"""Level `bytes`: the output, read back through both namings run backwards, is the source, bit for bit.

What a rewrite computed cannot be turned back: it is computed again and compared, bit for bit, with what was written.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ckpt2hf.naming import collapse, to_names, to_slots
from ckpt2hf.ops import Mosaic, first_difference
from ckpt2hf.threads import in_threads
from ckpt2hf.verify.readback import read_weights
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.output import WeightFormat
    from ckpt2hf.plan import Plan, Way
    from ckpt2hf.tensors import Readable

    Pairs = Mapping[str, tuple[Readable, Readable]]


def check_bytes(
    directory: Path,
    plan: Plan,
    formats: Sequence[WeightFormat],
    *,
    threads: int,
    progress: Callable[[int], None] = lambda _nbytes: None,
) -> tuple[Check, ...]:
    """The proofs. The directory must have passed `check_structure`. Raises VerificationError if it cannot be read."""
    first, *others = (read_weights(directory, kind) for kind in formats)
    checks = []
    for kind, other in zip(formats[1:], others, strict=True):
        pairs: Pairs = {name: (first[name], other[name]) for name in first}
        title = f"{formats[0].value} equals {kind.value}"
        checks.append(compare(title, pairs, threads, progress, "tensors identical in both files, every bit"))
    source, computed = both_ways(plan, {name: Mosaic.of(ref) for name, ref in first.items()})
    if source:
        said = "source tensors came back from the output, every bit"
        checks.append(compare("back to the source", source, threads, progress, said))
    if computed:
        said = "written tensors computed again from the source, every bit"
        checks.append(compare("computed again", computed, threads, progress, said))
    return tuple(checks)


def both_ways(plan: Way, written: Mapping[str, Mosaic]) -> tuple[Pairs, Pairs]:
    """Pairs that must be identical: source tensors that come back, and written ones that must be computed again."""
    if plan.rounds:
        return {}, {name: (plan.tensors[name], part) for name, part in written.items()}
    given: Mapping[str, Mosaic] = to_slots(plan.links, written)
    computed = {name for made in plan.rewrites for name in made.computed}
    again: Pairs = {name: (plan.final_slots[name], given[name]) for name in given if name in computed}
    for made in reversed(plan.rewrites):
        given = made.restored(given)
    whole = [made for made in plan.assignment.links if all(slot in given for slot in made.slots)]
    back: Pairs = {name: (plan.sources[name], part) for name, part in to_names(whole, given).items()}
    return back, again


def compare(title: str, pairs: Pairs, threads: int, progress: Callable[[int], None], said: str) -> Check:
    """Whether the two of each pair have the same shape, the same type and the same bits."""

    def look(item: tuple[str, tuple[Readable, Readable]]) -> str | None:
        name, (a, b) = item
        if a.meta != b.meta:
            return f"{name} is {b.meta}, not {a.meta}"
        where = first_difference(a, b)
        progress(a.meta.nbytes)
        return None if where is None else f"{name} differs first at {list(where)}"

    wrong = [found for found in in_threads([partial(look, pair) for pair in pairs.items()], threads) if found]
    numbers = {"tensors": len(pairs), "bytes": sum(a.meta.nbytes for a, _ in pairs.values()), "different": len(wrong)}
    return Check(title, not wrong, "; ".join(collapse(wrong)[:5]) or f"{len(pairs)} {said}", numbers)
