"""Which dialect a checkpoint is in: decided by a stated reason, or refused with the flags that decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.dialects.evidence import Evidence
from ckpt2hf.dialects.fact import flag
from ckpt2hf.dialects.fit import Fit, fit
from ckpt2hf.dialects.load import dialect, dialects
from ckpt2hf.dialects.resolve import Resolution, resolve
from ckpt2hf.errors import FactsError, MappingError
from ckpt2hf.ir.spec import plain
from ckpt2hf.naming import collapse, link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.fact import Fact


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layout that fits, with what is known about the checkpoint when it is read so."""

    fit: Fit
    resolution: Resolution
    named: bool
    """Whether the user named the dialect."""

    @property
    def reason(self) -> str:
        """Why the checkpoint is read so."""
        return f"named by the user; {self.fit.reason}" if self.named else self.fit.reason

    @property
    def complete(self) -> bool:
        """Whether the spec is known."""
        return not self.resolution.questions and not self.resolution.conflicts


def fits(checkpoint: Checkpoint, named: str | None = None) -> list[Fit]:
    """Every layout of every dialect (or of the named one) held against the checkpoint."""
    known = [dialect(named)] if named else dialects()
    return [fit(each, layout, checkpoint) for each in known for layout in each.layout]


def candidates(checkpoint: Checkpoint, named: str | None, said: Mapping[str, Fact]) -> list[Candidate]:
    """The layouts that fit. Where a file bears the mark of one codebase, only marked ones count."""
    fitting = [each for each in fits(checkpoint, named) if each.fits]
    if not named and any(each.mark for each in fitting):
        fitting = [each for each in fitting if each.mark]
    made = []
    for each in fitting:
        asserted = named is not None or each.mark is not None or not each.layout.signature.shared
        resolution = resolve(each.layout, checkpoint, said, asserted=asserted)
        made.append(Candidate(each, resolution, named is not None))
    return made


def detect(checkpoint: Checkpoint, named: str | None, said: Mapping[str, Fact]) -> Candidate:
    """The one candidate whose spec is complete. Raises FactsError or MappingError that says how to decide.

    Several complete candidates are fine when they describe the same function of the same tensors: then it does not
    matter whose code wrote the file.
    """
    found = candidates(checkpoint, named, said)
    if not found:
        raise _nothing_fits(checkpoint, named)
    complete = [each for each in found if each.complete]
    if complete and all(_same_function(each, complete[0]) for each in complete[1:]):
        return complete[0]
    raise _ambiguous(checkpoint, complete) if complete else _undecided(checkpoint, found)


def _same_function(a: Candidate, b: Candidate) -> bool:
    if a.resolution.spec != b.resolution.spec:
        return False
    one, other = (link(c.fit.layout.naming, c.resolution.spec) for c in (a, b))
    return sorted(one, key=lambda made: made.slots) == sorted(other, key=lambda made: made.slots)


def _nothing_fits(checkpoint: Checkpoint, named: str | None) -> MappingError:
    tried = fits(checkpoint, named)
    details = [f"{each.dialect.id:18} {each.layout.title}: {each.reason}" for each in tried]
    names = collapse(checkpoint.tensors)
    shown = ", ".join(names[:4]) + (" …" if len(names) > 4 else "")  # noqa: PLR2004 - enough to recognise
    what = f"the tensors are not named as in dialect {named}" if named else "no dialect knows these tensor names"
    remedies = [f"ckpt2hf inspect {checkpoint.path}"]
    if named:
        remedies.append("leave --dialect out to see every candidate")
    return MappingError(what, details=details, where=f"{checkpoint.path}: {shown}", remedies=remedies)


def _ambiguous(checkpoint: Checkpoint, complete: Sequence[Candidate]) -> FactsError:
    first = complete[0].resolution.spec.as_json()
    details = []
    for each in complete:
        theirs = each.resolution.spec.as_json()
        differs = [f"{k}={v}" for k, v in theirs.items() if any(o.resolution.spec.as_json()[k] != v for o in complete)]
        details.append(f"{each.fit.dialect.id:18} {', '.join(differs) or first}")
    return FactsError(
        "several dialects fit, and they compute different functions",
        details=details,
        where=str(checkpoint.path),
        remedies=[f"--dialect {each.fit.dialect.id}" for each in complete],
    )


def _undecided(checkpoint: Checkpoint, found: Sequence[Candidate]) -> FactsError:
    open_ones = [each for each in found if not each.resolution.conflicts] or list(found)
    details: list[str] = []
    for each in open_ones:
        details.append(f"{each.fit.dialect.id}  ({each.fit.layout.title}: {each.reason})")
        details += [f"  conflict  {conflict}" for conflict in each.resolution.conflicts]
        for question in each.resolution.questions:
            details.append(f"  {question.field}?  {question.text}")
            details += [
                f"    {flag(question.field, answer)}   {why}".rstrip() for answer, why in question.choices.items()
            ]
    contradicted = all(each.resolution.conflicts for each in found)
    return FactsError(
        "the facts contradict each other" if contradicted else "the file does not say which function these weights are",
        details=details,
        where=str(checkpoint.path),
        remedies=_remedies(checkpoint, open_ones, contradicted=contradicted),
    )


def _remedies(checkpoint: Checkpoint, found: Sequence[Candidate], *, contradicted: bool) -> list[str]:
    """One line of exact flags per candidate that a person can confirm, then the way to let code decide."""
    if contradicted:
        return ["correct the flags or the side file named above"]
    lines = []
    for each in found:
        layout, answered = each.fit.layout, []
        evidence = Evidence(checkpoint, layout.naming.ties)
        for question in each.resolution.questions:
            sources = layout.facts[question.field]
            if not any(s.const is not None and evidence.holds(s.when) for s in sources):  # naming it would not decide
                answered.append("|".join(question.flags) if len(question.flags) < 3 else question.flags[0])  # noqa: PLR2004
        named = [] if each.named else [f"--dialect {each.fit.dialect.id}"]
        lines.append(" ".join([*named, *answered]))
    return [
        *dict.fromkeys(line for line in lines if line),
        "--reference model.py:YourModelClass   (your own code decides)",
    ]


def describe_facts(resolution: Resolution) -> list[str]:
    """One line per known fact: field, value, origin."""
    return [
        f"{name:16} {plain(fact.value)!s:16} {fact.origin.value}: {fact.where}"
        for name, fact in resolution.facts.items()
    ]
