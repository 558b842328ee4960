"""What a draft is made of: kinds of tensors, the places they could have, and what is still to be asked."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.dialects.open_questions import QUESTION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SURE = 0.9
"""Confidence from which on a tensor is placed and not asked about."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Tensors that differ in nothing but the numbers of their names: one weight of every layer."""

    pattern: str
    """Their names, with `{i}` for the layer."""
    shape: tuple[int, ...]
    names: tuple[str, ...]
    suffix: str
    """The name inside a block; the whole name outside of one."""
    variables: str
    """The variables of the pattern: empty, `i`, `ih` or `ie`."""
    copies: int = 1
    """How many there are in one layer: one, or as many as heads or experts."""
    whole: bool = True
    """Whether every layer has it."""

    @property
    def module(self) -> str | None:
        """The module it belongs to, where its name ends as PyTorch's modules name their tensors."""
        head, _, leaf = self.pattern.rpartition(".")
        return head if leaf in {"weight", "bias"} else None

    def __str__(self) -> str:
        """Such as `blocks.{i}.q.weight [24, 24]`."""
        return f"{self.pattern} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A place a tensor could have."""

    slots: tuple[str, ...]
    ops: tuple[str, ...]
    """What is done on the way, each as TOML writes it."""
    confidence: float
    why: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tensors of one kind go: to the first choice, if it is sure."""

    kind: Kind
    choices: tuple[Choice, ...]
    """The likeliest first; empty where none is known."""
    question: str = ""
    """What only a person knows; empty where the first choice is sure."""

    @property
    def sure(self) -> bool:
        """Whether the first choice is written as the answer."""
        return not self.question


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Tensors that are no weights: a mask, a table that is computed, a second name."""

    kind: Kind
    expect: str
    """What a drop proves; for a second name, the first one."""
    why: str
    tie: bool = False


@dataclass(frozen=True, slots=True)
class FactLine:
    """Where one fact comes from: sources as TOML writes them."""

    name: str
    sources: tuple[str, ...]
    asked: bool
    """Whether a person has to answer it, with `--set` or in the file."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A first dialect file for one checkpoint: every tensor in exactly one place, or in one question."""

    title: str
    source: str
    target: str
    family: str
    reasons: tuple[str, ...]
    """Why it is this family and this target."""
    needs: tuple[str, ...]
    places: tuple[Place, ...]
    left_out: tuple[LeftOut, ...]
    facts: tuple[FactLine, ...]
    family_facts: Mapping[str, str] = field(default_factory=dict)
    """What is taken from the family, so that a reader can object."""

    @property
    def sure(self) -> tuple[Place, ...]:
        """The kinds that have their place."""
        return tuple(place for place in self.places if place.sure)

    @property
    def asked(self) -> tuple[Place, ...]:
        """The kinds that are a question in the file."""
        return tuple(place for place in self.places if not place.sure)

    @property
    def open_facts(self) -> tuple[str, ...]:
        """The facts that are a question in the file, because the tensors that show them are."""
        return tuple(fact.name for fact in self.facts if fact.sources[0] == text(QUESTION))

    @property
    def questions(self) -> tuple[str, ...]:
        """The facts that are a question when the checkpoint is converted."""
        return tuple(fact.name for fact in self.facts if fact.asked)

    @property
    def confidences(self) -> tuple[float, float] | None:
        """The lowest and the median confidence of what has its place, tensor by tensor."""
        found = [place.choices[0].confidence for place in self.sure for _ in place.kind.names]
        return (min(found), statistics.median(found)) if found else None


def count(places: Sequence[Place | LeftOut]) -> int:
    """How many tensors these are."""
    return sum(len(place.kind.names) for place in places)


def toml_list(words: Sequence[str]) -> str:
    """One text, or a list of them, as TOML writes it."""
    quoted = [text(word) for word in words]
    return quoted[0] if len(quoted) == 1 else f"[{', '.join(quoted)}]"


def text(value: str) -> str:
    """A text in quotes, as TOML writes it."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(sign if sign.isprintable() else f"\\U{ord(sign):08X}" for sign in escaped) + '"'


__all__ = ["QUESTION", "SURE", "Choice", "Draft", "FactLine", "Kind", "LeftOut", "Place", "count", "text", "toml_list"]
