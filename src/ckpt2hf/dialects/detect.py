"""Which dialect a checkpoint is in: decided by a stated reason, or refused with the flags that decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.candidate import Candidate
from ckpt2hf.dialects.fit import Fit, fit
from ckpt2hf.dialects.load import dialects
from ckpt2hf.dialects.refusals import ambiguous, nothing_fits, refused, undecided
from ckpt2hf.dialects.resolve import resolve
from ckpt2hf.naming import NameIndex, link

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.fact import Fact
    from ckpt2hf.dialects.schema import Dialect


def fits(checkpoint: Checkpoint, named: Dialect | None = None) -> list[Fit]:
    """Every layout of every dialect (or of the named one) held against the checkpoint."""
    known = [named] if named else dialects()
    names = NameIndex(checkpoint.tensors)
    return [fit(each, layout, checkpoint, names) for each in known for layout in each.layout]


def candidates(checkpoint: Checkpoint, named: Dialect | None, said: Mapping[str, Fact]) -> list[Candidate]:
    """The layouts that fit. Where a file bears the mark of one codebase, only marked ones count."""
    fitting = [each for each in fits(checkpoint, named) if each.fits and not each.refuses]
    if not named and any(each.mark for each in fitting):
        fitting = [each for each in fitting if each.mark]
    made = []
    for each in fitting:
        asserted = named is not None or each.mark is not None or not each.layout.signature.shared
        resolution = resolve(each.layout, checkpoint, said, asserted=asserted)
        made.append(Candidate(each, resolution, named is not None))
    return made


def detect(checkpoint: Checkpoint, named: Dialect | None, said: Mapping[str, Fact]) -> Candidate:
    """The one candidate whose spec is complete. Raises FactsError or MappingError that says how to decide.

    Several complete candidates are fine when they describe the same function of the same tensors: then it does not
    matter whose code wrote the file.
    """
    found = candidates(checkpoint, named, said)
    if not found:
        tried, every = fits(checkpoint, named), fits(checkpoint)
        refusing = next((each for each in (*tried, *every) if each.refuses), None)
        if refusing:
            raise refused(checkpoint, refusing)
        raise nothing_fits(checkpoint, tried, [each for each in every if each.fits])
    complete = [each for each in found if each.complete]
    if complete and all(_same_function(each, complete[0]) for each in complete[1:]):
        return complete[0]
    raise ambiguous(checkpoint, complete) if complete else undecided(checkpoint, found)


def _same_function(a: Candidate, b: Candidate) -> bool:
    if a.resolution.spec != b.resolution.spec or a.fit.target != b.fit.target:
        return False
    one, other = (link(c.fit.layout.naming, c.resolution.spec) for c in (a, b))
    return sorted(one, key=lambda made: made.slots) == sorted(other, key=lambda made: made.slots)
