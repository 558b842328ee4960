"""Every way to read a checkpoint that its file leaves open, each a complete candidate; equal functions once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects import Candidate, Fact, Origin, flag
from ckpt2hf.dialects.resolve import resolve
from ckpt2hf.dialects.usual import group, usual
from ckpt2hf.errors import FactsError, MappingError
from ckpt2hf.ir import parse_field, written
from ckpt2hf.naming import assign, to_slots
from ckpt2hf.ops import Mosaic

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True)
class Reading:
    """One complete way to read a checkpoint."""

    space: Space
    candidate: Candidate
    answers: Mapping[str, str]
    """What was answered to come here, by field."""
    slots: Mapping[str, Mosaic]
    strain: int
    """How many of the answers are not what the dialect itself says."""

    @property
    def respectful(self) -> bool:
        """Whether nothing that stands without it is answered otherwise."""
        values = {name: parse_field(name, answer) for name, answer in self.answers.items()}
        return all(values[name] == fact.value for name, fact in self.space.stands.items())

    @property
    def spec(self) -> ModelSpec:
        """The model it describes."""
        return self.candidate.resolution.spec

    @cached_property
    def function(self) -> object:
        """The same for two readings that compute the same function of the same tensors."""
        spec = self.spec
        scale = spec.attention_scale.value(head_dim=spec.head_dim, d_model=spec.d_model)
        words = {**spec.as_json(), "attention_scale": f"{scale:.12g}"}
        return (tuple(words.items()), tuple(sorted(self.slots.items(), key=lambda item: item[0])))

    @property
    def weights(self) -> object:
        """The same for two readings that give every slot the same numbers."""
        return tuple(sorted(self.slots.items(), key=lambda item: item[0]))

    def __str__(self) -> str:
        """The flags that say so."""
        return " ".join(flag(name, parse_field(name, answer)) for name, answer in self.answers.items())


@dataclass(frozen=True)
class Space:
    """One layout that fits, and the fields it leaves open, each with the answers to try, the likeliest first."""

    checkpoint: Checkpoint
    candidate: Candidate
    said: Mapping[str, Fact]
    """What the user says about all other fields."""
    answers: Mapping[str, tuple[str, ...]]
    own: Mapping[str, Any]
    """What the dialect itself says about open fields, where it says something."""
    origin: Origin
    """Of the facts that come out of this."""
    where: str
    stands: Mapping[str, Fact] = field(default_factory=dict)
    """Open fields that something else decides already."""
    _made: dict[tuple[str, ...], Reading | None] = field(default_factory=dict)

    @property
    def bare(self) -> tuple[str, ...]:
        """Open fields that could be any number, such as the longest sequence: nothing can be tried."""
        return tuple(name for name, answers in self.answers.items() if not answers)

    @property
    def size(self) -> int:
        """How many combinations of answers there are."""
        return math.prod(len(each) for each in self.answers.values())

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """The open fields, those that change each other's effect together."""
        return list(dict.fromkeys(tuple(name for name in self.answers if name in group(each)) for each in self.answers))

    def everything(self) -> Iterator[Reading]:
        """Every combination that is a reading."""
        return self._combinations(tuple(self.answers), {})

    def beside(self, answers: Mapping[str, str]) -> Iterator[Reading]:
        """Every reading that differs from these answers in the fields of one group only."""
        for fields in self.groups:
            yield from self._combinations(fields, answers)

    def read(self, answers: Mapping[str, str]) -> Reading | None:
        """The reading with these answers; None where they do not fit together or do not fit the tensors."""
        key = tuple(answers[name] for name in self.answers)
        if key not in self._made:
            self._made[key] = self._read(answers)
        return self._made[key]

    def _combinations(self, fields: tuple[str, ...], rest: Mapping[str, str]) -> Iterator[Reading]:
        for chosen in product(*(self.answers[name] for name in fields)):
            made = self.read({**rest, **dict(zip(fields, chosen, strict=True))})
            if made is not None:
                yield made

    def _read(self, answers: Mapping[str, str]) -> Reading | None:
        values = {name: parse_field(name, answer) for name, answer in answers.items()}
        facts = {name: Fact(name, value, self.origin, self.where) for name, value in values.items()}
        fit = self.candidate.fit
        resolution = resolve(fit.layout, self.checkpoint, {**self.said, **facts}, asserted=True)
        made = Candidate(fit, resolution, self.candidate.named)
        if not made.complete or resolution.spec.problems():
            return None
        try:
            slots = slots_of(made, self.checkpoint)
        except MappingError:
            return None  # shapes that cannot be those of this spec
        strain = sum(name in self.own and self.own[name] != value for name, value in values.items())
        return Reading(self, made, dict(answers), slots, strain)


def slots_of(candidate: Candidate, checkpoint: Checkpoint) -> dict[str, Mosaic]:
    """The slots of a complete candidate. Raises MappingError."""
    metas = {name: ref.meta for name, ref in checkpoint.tensors.items()}
    assignment = assign(candidate.fit.layout.naming, candidate.resolution.spec, metas)
    sources = {name: Mosaic.of(ref) for name, ref in assignment.taken(checkpoint.tensors).items()}
    return to_slots(assignment.links, sources)


def distinct(readings: Iterable[Reading]) -> list[Reading]:
    """Each function once, read as the dialect that has to be contradicted least."""
    found: dict[object, Reading] = {}
    for reading in readings:
        before = found.setdefault(reading.function, reading)
        if reading.strain < before.strain:
            found[reading.function] = reading
    return list(found.values())


def asked_of_code(checkpoint: Checkpoint, each: Candidate, said: Mapping[str, Fact]) -> Space:
    """What the user's own code is asked: all that the file leaves open, and what only a dialect says about it."""
    layout = each.fit.layout
    blank = resolve(layout, checkpoint, said, asserted=False)
    known = {name: fact.value for name, fact in blank.facts.items()}
    free = {q.field: tuple(q.choices) or usual(q.field, known) for q in blank.questions}
    for name in (*layout.hidden, "norm_eps"):
        if name not in free and name in blank.facts and blank.facts[name].origin.is_opinion:
            free |= {name: answers} if (answers := usual(name, known)) else {}
    return Space(checkpoint, each, said, free, {}, Origin.REFERENCE, "your code")


def asked_of_sample(checkpoint: Checkpoint, each: Candidate, said: Mapping[str, Fact]) -> Space:
    """What a sample of text is asked: the candidate's questions, and whether it is against what stands without it.

    Held against it is what the user, a file beside the checkpoint, or the dialect about a hidden field says, where
    there are usual answers to compare that with.
    """
    known = {name: fact.value for name, fact in each.resolution.facts.items()}
    free: dict[str, tuple[str, ...]] = {}
    own: dict[str, Any] = {}
    stands: dict[str, Fact] = {}
    for question in each.resolution.questions:
        answers = tuple(question.choices) or usual(question.field, known)
        first = [spelled(question.if_named)] if question.if_named else []
        # With nothing to compare it with, no sample can decide it: an answer that is alone would always win.
        free[question.field] = _ordered(question.field, [*first, *answers]) if answers else ()
        if question.if_named:
            own[question.field] = question.if_named.value
    for name, fact in each.resolution.facts.items():
        hidden = fact.origin.is_opinion and name in each.fit.layout.hidden
        if hidden or fact.origin in {Origin.USER, Origin.SIDE_FILE}:
            answers = usual(name, known)
            if answers:
                stands[name] = fact
                free[name] = _ordered(name, [spelled(fact), *answers])
    rest = {name: fact for name, fact in said.items() if name not in free}
    return Space(checkpoint, each, rest, free, own, Origin.SAMPLE, "the sample", stands)


def without_answers(checkpoint: Checkpoint, spaces: Sequence[Space], who: str) -> FactsError | None:
    """What to say where every space has something open that could be any number; None where one has not.

    `who` is asked. Nobody can be asked the rest, either, before that is known.
    """
    bare = [space.bare for space in spaces]
    if not bare or not all(bare):
        return None
    names = list(dict.fromkeys(name for each in bare for name in each))
    return FactsError(
        f"{who} cannot be asked for {' and '.join(names)}: any number would have to be tried",
        where=str(checkpoint.path),
        tried=f"{who} can be asked for everything else that is open, once that is known",
        remedies=[" ".join(f"--set {name}=N" for name in bare[0])],
    )


def spelled(fact: Fact) -> str:
    """A fact's value as `--set` spells it."""
    return written(fact.value)


def _ordered(field: str, answers: Iterable[str]) -> tuple[str, ...]:
    """Each value once, in the spelling that comes first."""
    found: dict[object, str] = {}
    for answer in answers:
        found.setdefault(parse_field(field, answer), answer)
    return tuple(found.values())
