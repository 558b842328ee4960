"""From the sources of a layout to the facts of a spec: every source that speaks must agree, nothing is guessed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects.evidence import Evidence
from ckpt2hf.dialects.fact import Fact, Origin, Question
from ckpt2hf.ir.spec import FIELDS, Activation, ModelSpec, NormPlacement, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.schema import FactSource, Layout

USUAL_CHOICES = {
    "activation": [plain(a) for a in Activation],
    "norm_placement": [plain(p) for p in NormPlacement],
    "attention_scale": ["head_dim**-0.5", "d_model**-0.5"],
}
"""Answers to try where a dialect names none."""


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
    state = _State(layout, Evidence(checkpoint, layout.naming.ties), said, asserted, {}, {}, [])
    for name in FIELDS:
        state.value(name)
    return Resolution(state.facts, tuple(state.questions.values()), tuple(state.conflicts))


@dataclass(frozen=True, slots=True)
class _State:
    layout: Layout
    evidence: Evidence
    said: Mapping[str, Fact]
    asserted: bool
    facts: dict[str, Fact]
    questions: dict[str, Question]
    conflicts: list[str]

    def value(self, name: str) -> Any:  # noqa: ANN401 - the field decides the type
        """The value of a field, or None while nobody knows."""
        if name not in self.facts and name not in self.questions:
            self._settle(name)
        fact = self.facts.get(name)
        return fact.value if fact else None

    def _settle(self, name: str) -> None:
        sources = self.layout.facts[name]
        found = [fact for source in sources if (fact := self.evidence.find(name, source, self.value))]
        chosen = self._choose(name, found)
        if chosen:
            self.facts[name] = chosen
        elif all(source.quotient for source in sources):
            self._cannot_derive(name, sources)
        elif name not in self.questions:
            asked = next((source for source in sources if source.ask and self.evidence.holds(source.when)), None)
            choices = (asked.choices if asked else {}) or _usual(name)
            self.questions[name] = Question(name, (asked and asked.ask) or f"What is {name}?", choices)

    def _cannot_derive(self, name: str, sources: Sequence[FactSource]) -> None:
        """Nobody is asked what follows from other answers; but answers that do not fit together are a conflict."""
        for source in sources:
            operands = {other: self.value(other) for other in source.quotient or ()}
            if operands and None not in operands.values():
                given = " and ".join(f"{other} = {value}" for other, value in operands.items())
                self.conflicts.append(f"{name} is {' / '.join(operands)}, and with {given} that is no whole number")

    def _choose(self, name: str, found: list[Fact]) -> Fact | None:
        said = self.said.get(name)
        if said:
            # The user's word outranks a dialect and a side file, never what the checkpoint itself shows.
            against = next((f for f in found if f.origin.is_evidence and f.value != said.value), None)
            if against:
                self.conflicts.append(f"{said} contradicts {against}")
            doubted = next((f for f in found if f.origin is Origin.DIALECT and f.value != said.value), None)
            if doubted and not self.asserted:
                self.conflicts.append(f"{said} is not what this dialect does: {plain(doubted.value)} ({doubted.where})")
            elif doubted:
                return replace(said, where=f"{said.where}, instead of {plain(doubted.value)} ({doubted.where})")
            return said
        if not found:
            return None
        # Only a first constant whose condition holds speaks for the dialect; the file's own words come before it.
        other = next((fact for fact in found[1:] if fact.value != found[0].value), None)
        if other:
            self.conflicts.append(f"{found[0]} contradicts {other}")
        only_dialect = all(fact.origin is Origin.DIALECT for fact in found)
        if only_dialect and name in self.layout.hidden and not self.asserted:
            text = f"{plain(found[0].value)} in this codebase ({found[0].where}); others with these names differ"
            self.questions[name] = Question(name, text, _usual(name), found[0])
            return None
        return min(found, key=lambda fact: list(Origin).index(fact.origin))


def _usual(name: str) -> dict[str, str]:
    """Answers worth offering, without a meaning of their own."""
    return {plain(choice): "" for choice in USUAL_CHOICES.get(name, [])}
