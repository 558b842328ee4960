"""A target: one Hugging Face architecture as data. What it accepts, its config, its naming, its modules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir import FIELDS, written
from ckpt2hf.naming import Rule, pattern
from ckpt2hf.targets.neutral import NEUTRAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.naming import Naming, OpTemplate


@dataclass(frozen=True, slots=True)
class Requirement:
    """A field that must have one of these values."""

    field: str
    allowed: tuple[Any, ...]
    why: str

    def problems(self, spec: ModelSpec) -> Iterator[Problem]:
        """What does not fit about a spec."""
        found = getattr(spec, self.field)
        if found not in self.allowed:
            yield Problem(self.field, f"{self.field} is {written(found)}: {self.why}")


@dataclass(frozen=True, slots=True)
class Relation:
    """Two lengths (words of `ModelSpec.dims`) that must be equal."""

    left: str
    right: str
    why: str

    def problems(self, spec: ModelSpec) -> Iterator[Problem]:
        """What does not fit about a spec."""
        dims = spec.dims()
        if dims[self.left] != dims[self.right]:
            text = f"{self.left} is {dims[self.left]}, {self.right} is {dims[self.right]}: {self.why}"
            yield Problem(self.left, text)


@dataclass(frozen=True, slots=True)
class Together:
    """Two yes-or-no fields that are both true or both false; the false one is the problem."""

    one: str
    other: str
    why: str

    def problems(self, spec: ModelSpec) -> Iterator[Problem]:
        """What does not fit about a spec."""
        for absent, there in ((self.one, self.other), (self.other, self.one)):
            if getattr(spec, there) and not getattr(spec, absent):
                yield Problem(absent, f"{absent} is false, {there} is true: {self.why}")


@dataclass(frozen=True, slots=True)
class Problem:
    """A feature of a spec that a target cannot express."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Unopened:
    """Models that a class computes, and that some of the releases of transformers that have it refuse to open."""

    release: str
    """Which ones, such as `transformers 5`."""
    field: str
    """What would have to be otherwise: an identity that changes it is applied, where there is one."""
    why: Callable[[ModelSpec], str | None]
    """Why they refuse this one; None where they open it."""


ROWS = (
    Relation("embed_rows", "vocab", "the class has a row of the embedding for each token"),
    Relation("head_rows", "vocab", "the class gives every logit that its head computes"),
)
"""What every class asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What a program can compute of all models there are, and how it is told."""

    id: str
    expresses: frozenset[str]
    """Fields that its configuration or its shapes can say, whatever they are."""
    requires: tuple[Requirement | Relation | Together, ...]
    """What it asks for; a field that is neither here nor expressed must have the one value that it always has."""
    naming: Naming
    config: Callable[[ModelSpec], dict[str, Any]]
    """Its own part of the configuration."""
    neutral: tuple[Requirement, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Every field has a place. Raises BrokenPromiseError."""
        said = {need.field for need in self.requires if isinstance(need, Requirement)} | self.expresses
        rest = [name for name in FIELDS if name not in said]
        homeless = [name for name in rest if name not in NEUTRAL]
        if homeless or not said <= set(FIELDS):
            raise BrokenPromiseError(f"target {self.id}: no place for {homeless}, unknown {said - set(FIELDS)}")
        neutral = (Requirement(name, (NEUTRAL[name].value,), f"{self.title} {NEUTRAL[name].why}") for name in rest)
        object.__setattr__(self, "neutral", tuple(neutral))

    @property
    def title(self) -> str:
        """What people call it."""
        return self.id

    def problems(self, spec: ModelSpec) -> list[Problem]:
        """Every feature of the spec that it has no place for."""
        return [problem for need in (*self.requires, *ROWS, *self.neutral) for problem in need.problems(spec)]

    def restrictions(self, spec: ModelSpec) -> list[Problem]:  # noqa: ARG002 - for those that have some
        """Why some releases would not open a model that the newest computes."""
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Target(Architecture):
    """One Hugging Face architecture."""

    hf_class: str
    modules: Mapping[str, str]
    """Names of the reference forward's activations and the modules that compute them, `{i}` for the layer."""
    transformers: str = ""
    """The first release that has the class, such as `5.0`; empty for one that every supported release has."""
    unopened: tuple[Unopened, ...] = ()
    """What some of the releases that have the class do not open."""

    @property
    def title(self) -> str:
        """The class."""
        return self.hf_class

    def restrictions(self, spec: ModelSpec) -> list[Problem]:
        """Why some releases of transformers would not open this model, although the class computes it."""
        found = ((each, each.why(spec)) for each in self.unopened)
        return [Problem(each.field, f"{each.release} does not open this model: {why}") for each, why in found if why]


def rule(name: str, slots: str | tuple[str, ...], *ops: OpTemplate) -> Rule:
    """A rule of a target's naming: one tensor, and the slots it holds."""
    parts = (slots,) if isinstance(slots, str) else slots
    return Rule((pattern(name),), tuple(pattern(part) for part in parts), ops)


def same(names: Mapping[str, str], *kinds: str) -> tuple[Rule, ...]:
    """A rule for each pair of modules and each kind of tensor (`weight`, `bias`), as they are."""
    return tuple(rule(f"{name}.{kind}", f"{slot}.{kind}") for name, slot in names.items() for kind in kinds)
