"""From the sources of a layout to the facts of a spec: every source that speaks must agree, nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects.evidence import Evidence
from ckpt2hf.dialects.fact import Fact, Origin, Question
from ckpt2hf.dialects.usual import OFFERED
from ckpt2hf.ir import FIELDS, ModelSpec, accepts, within_bounds, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.fact_source import FactSource
    from ckpt2hf.dialects.schema import Layout


@dataclass(frozen=True, slots=True)
class Resolution:
    """What is known about one checkpoint read as one layout."""

    facts: Mapping[str, Fact]
    questions: tuple[Question, ...]
    conflicts: tuple[str, ...]

    @property
    def spec(self) -> ModelSpec:
        """The complete spec. Only for a resolution without questions and conflicts."""
        return ModelSpec(**{name: self.facts[name].value for name in FIELDS})


def resolve(layout: Layout, checkpoint: Checkpoint, said: Mapping[str, Fact], *, asserted: bool) -> Resolution:
    """Every field's fact, question or conflict.

    `said` are the user's own facts. `asserted` is whether the dialect is certain (named, or marked in the file); when
    it is not, what it says about `hidden` facts is only one codebase's answer and becomes a question.
    """
    state = _State(layout, Evidence(checkpoint, layout.naming.ties), said, asserted, {}, {})
    # A fact may be derived from others, in any order: heads from the width of a head, or the width from the heads.
    while state.settle():
        pass
    facts = {name: state.facts[name] for name in FIELDS if name in state.facts}
    return Resolution(facts, tuple(state.open_questions()), tuple(state.conflicts()))


@dataclass(frozen=True, slots=True)
class _State:
    layout: Layout
    evidence: Evidence
    said: Mapping[str, Fact]
    asserted: bool
    facts: dict[str, Fact]
    doubtful: dict[str, Question]
    """Hidden facts that only a dialect answers, which is not certain."""

    def known(self, name: str) -> Any:  # noqa: ANN401 - the field decides the type
        """The value of a field, or None while nobody knows."""
        fact = self.facts.get(name)
        return fact.value if fact else None

    def settle(self) -> bool:
        """Finds what can be found with what is known; whether that was anything."""
        before = len(self.facts) + len(self.doubtful)
        for name in FIELDS:
            if name not in self.facts and name not in self.doubtful:
                self._settle(name)
        return len(self.facts) + len(self.doubtful) > before

    def _found(self, name: str) -> list[Fact]:
        """What every source of a field gives; of a derived fact it is the file that says so, or the dialect."""
        sources = self.layout.sources(name)
        found = [fact for source in sources if (fact := self.evidence.find(name, source, self.known))]
        if name in self.layout.facts:
            return found
        return [replace(fact, origin=Origin.FAMILY) for fact in found]

    def _settle(self, name: str) -> None:
        found = self._found(name)
        said = self.said.get(name)
        if said:
            doubted = next((f for f in found if f.origin.is_opinion and f.value != said.value), None)
            instead = f", instead of {written(doubted.value)} ({doubted.where})" if doubted and self.asserted else ""
            self.facts[name] = replace(said, where=f"{said.where}{instead}")
        elif found and self._is_doubtful(name, found):
            text = f"{written(found[0].value)} in this codebase ({found[0].where}); others with these names differ"
            self.doubtful[name] = Question(name, text, _usual(name), found[0])
        elif found:
            # Only a first constant whose condition holds speaks for the dialect; the file's own words come before it.
            self.facts[name] = min(found, key=lambda fact: list(Origin).index(fact.origin))

    def _is_doubtful(self, name: str, found: Sequence[Fact]) -> bool:
        return not self.asserted and name in self.layout.hidden and all(fact.origin.is_opinion for fact in found)

    def open_questions(self) -> Iterator[Question]:
        """What a person has to answer. Nobody is asked what follows from other answers."""
        for name in FIELDS:
            sources = self.layout.sources(name)
            asked = next((source for source in sources if source.ask and self.evidence.holds(source.when)), None)
            if name in self.doubtful:
                yield self.doubtful[name]
            elif name not in self.facts and (asked or not any(source.operands for source in sources)):
                choices = (asked.choices if asked else {}) or _usual(name)
                yield Question(name, (asked and asked.ask) or f"What is {name}?", choices)

    def conflicts(self) -> Iterator[str]:
        """What contradicts what."""
        for name in FIELDS:
            found, said = self._found(name), self.said.get(name)
            if absurd := next((fact for fact in found if not within_bounds(name, fact.value)), None):
                yield f"{absurd}, but {name} takes {accepts(name)}"
            elif said:
                yield from self._against(said, found)
            elif found:
                other = next((fact for fact in found[1:] if fact.value != found[0].value), None)
                if other:
                    yield f"{found[0]} contradicts {other}"
            else:
                yield from self._underived(name)

    def _against(self, said: Fact, found: Sequence[Fact]) -> Iterator[str]:
        """The user's word outranks a dialect and a side file, never what the checkpoint itself shows."""
        against = next((f for f in found if f.origin.is_evidence and f.value != said.value), None)
        if against:
            yield f"{said} contradicts {against}"
        doubted = next((f for f in found if f.origin.is_opinion and f.value != said.value), None)
        if doubted and not self.asserted:
            yield f"{said} is not what this dialect does: {written(doubted.value)} ({doubted.where})"

    def _underived(self, name: str) -> Iterator[str]:
        """Answers that do not fit together."""
        for source in self.layout.sources(name):
            operands = {other: self.known(other) for other in source.operands}
            if operands and None not in operands.values() and not any(s.ask for s in self.layout.sources(name)):
                given = " and ".join(f"{other} = {written(value)}" for other, value in operands.items())
                yield f"{name} does not follow from {given}: {_derivation(source)} is no whole number"


def _derivation(source: FactSource) -> str:
    """How a field would follow from others."""
    if source.quotient:
        return " / ".join(source.quotient)
    if source.equals:
        return source.equals
    what = f"axis {source.axis} of {source.shape}" if source.shape else str(getattr(source, source.kind))
    return f"{what} / {source.per}" if source.per else what


def _usual(name: str) -> dict[str, str]:
    """Answers worth offering, without a meaning of their own."""
    return dict.fromkeys(OFFERED.get(name, ()), "")
