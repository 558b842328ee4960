"""The vocabulary of a dialect file, checked by pydantic: what may be written, and what each word means."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ckpt2hf.ir.spec import FIELDS, parse_field
from ckpt2hf.naming import (
    Drop,
    Expectation,
    JoinTemplate,
    Naming,
    OpTemplate,
    Pattern,
    Rule,
    SplitTemplate,
    SqueezeTemplate,
    Tie,
    TransposeTemplate,
    UnsqueezeTemplate,
    pattern,
)


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _pattern(value: object) -> object:
    return pattern(value) if isinstance(value, str) else value


PatternText = Annotated[Pattern, BeforeValidator(_pattern)]
Patterns = Annotated[tuple[PatternText, ...], BeforeValidator(_listed)]
Paths = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class _Table(BaseModel):
    """A table that knows every key it may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class When(_Table):
    """A condition on what the file shows; all parts must hold."""

    has: Paths = ()
    """Metadata paths that must be there."""
    lacks: Paths = ()
    """Metadata paths that must not be there."""


SOURCES = ("count", "shape", "meta", "side", "module", "const", "ask", "same", "present", "quotient")


class FactSource(_Table):
    """One place a fact can come from; exactly one of the words in `SOURCES`."""

    count: PatternText | None = None
    """How many values a variable of this pattern takes (`of` names it)."""
    of: str = "i"
    shape: PatternText | None = None
    """The length of an axis of the tensors of this name."""
    axis: int = 0
    meta: str | None = None
    """A path in the checkpoint's own metadata."""
    side: str | None = None
    """A path in a `config.json` beside the checkpoint, or in another settings file: `params.json: n_heads`."""
    module: PatternText | None = None
    """A module of a pickled model: an attribute of it, or, for `activation`, its class."""
    attribute: str | None = None
    const: bool | int | float | str | None = None
    """What this codebase's source says; `why` says where."""
    why: str = ""
    ask: str | None = None
    """A question only a person can answer; `choices` maps each answer to its meaning."""
    choices: dict[str, str] = Field(default_factory=dict)
    same: Annotated[tuple[PatternText, PatternText], Field()] | None = None
    """Whether two tensors hold the same numbers, by storage or by value."""
    present: PatternText | None = None
    """Whether tensors of this name exist."""
    quotient: tuple[str, str] | None = None
    """One field divided by another, without remainder."""
    map: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Translates what was found; a value that is not listed is not understood and does not count."""
    when: When = Field(default_factory=When)

    @property
    def kind(self) -> str:
        """Which of the `SOURCES` this is."""
        return next(word for word in SOURCES if getattr(self, word) is not None)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [word for word in SOURCES if getattr(self, word) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a fact has exactly one source out of {', '.join(SOURCES)}; here: {kinds or 'none'}")
        if self.const is not None and not self.why:
            raise ValueError("a constant needs a `why`")
        return self


FactSources = Annotated[tuple[FactSource, ...], BeforeValidator(_listed)]


class Mark(_Table):
    """Something only this codebase leaves in a file: it decides the dialect without asking."""

    meta: str | None = None
    """A metadata path that is there."""
    record: str | None = None
    """A metadata path that holds an instance of a class called `named` without the fields `lacks`."""
    named: str = ""
    lacks: Paths = ()
    tensor: PatternText | None = None
    """A tensor name that is there."""
    side: str | None = None
    """A path that is there in a settings file beside the checkpoint, written as that of a fact."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(word is not None for word in (self.meta, self.record, self.tensor, self.side)) != 1:
            raise ValueError("a mark is exactly one of meta, record, tensor, side")
        return self


class Signature(_Table):
    """What a file must show to be of this layout. Besides, every tensor name must be known to the naming."""

    needs: Patterns
    forbids: Patterns = ()
    ratio: dict[str, int] = Field(default_factory=dict)
    """Pattern of a matrix: how many times more rows than columns it has (tells `[out, in]` from `[in, out]`)."""
    together: tuple[Patterns, ...] = ()
    """Names that are all there, or none."""
    marks: tuple[Mark, ...] = ()
    shared: bool = True
    """Whether other codebases save the same names for another function, so that names alone decide nothing."""


class OpEntry(_Table):
    """One op of a rule; exactly one word."""

    transpose: bool | None = None
    split: tuple[str, ...] | None = None
    join: str | None = None
    squeeze: int | None = None
    unsqueeze: int | None = None
    axis: int = 0

    def template(self) -> OpTemplate:
        """The op, sizes still words. Raises ValueError unless there is exactly one."""
        made: list[OpTemplate] = []
        if self.transpose:
            made.append(TransposeTemplate())
        if self.split is not None:
            made.append(SplitTemplate(self.axis, self.split))
        if self.join is not None:
            made.append(JoinTemplate(self.axis, self.join))
        if self.squeeze is not None:
            made.append(SqueezeTemplate(self.squeeze))
        if self.unsqueeze is not None:
            made.append(UnsqueezeTemplate(self.unsqueeze))
        if len(made) != 1:
            raise ValueError("an op is exactly one of transpose, split, join, squeeze, unsqueeze")
        return made[0]

    @model_validator(mode="after")
    def _one_word(self) -> Self:
        self.template()
        return self


class RuleEntry(_Table):
    """These names, put through these ops, are these slots."""

    names: Patterns = Field(alias="from")
    slots: Patterns = Field(alias="to")
    ops: tuple[OpEntry, ...] = ()


class TieEntry(_Table):
    """A second name for the same numbers."""

    name: PatternText
    same_as: PatternText


class DropEntry(_Table):
    """A tensor to leave out, once proved to be what is expected."""

    name: PatternText
    expect: Expectation


class Layout(_Table):
    """One generation of a codebase: what its files show, what they mean."""

    title: str
    signature: Signature
    facts: dict[str, FactSources]
    hidden: tuple[str, ...] = ()
    """Facts the names do not show and other codebases with these names answer differently."""
    rule: tuple[RuleEntry, ...]
    tie: tuple[TieEntry, ...] = ()
    drop: tuple[DropEntry, ...] = ()

    @property
    def naming(self) -> Naming:
        """Rules, ties and drops."""
        return Naming(
            tuple(Rule(r.names, r.slots, tuple(op.template() for op in r.ops)) for r in self.rule),
            tuple(Tie(t.name, t.same_as) for t in self.tie),
            tuple(Drop(d.name, d.expect) for d in self.drop),
        )

    @model_validator(mode="after")
    def _total(self) -> Self:
        missing = [name for name in FIELDS if name not in self.facts]
        unknown = [name for name in (*self.facts, *self.hidden) if name not in FIELDS]
        if missing or unknown:
            raise ValueError(f"facts must name every field of a spec: missing {missing}, unknown {unknown}")
        for name, sources in self.facts.items():
            for source in sources:
                answers: list[Any] = [*source.map.values(), *source.choices]
                for value in answers if source.const is None else [*answers, source.const]:
                    parse_field(name, value)
        return self


class Dialect(_Table):
    """What one training codebase calls its tensors, and the facts its weights do not show."""

    id: str
    title: str
    source: str
    """Repository, commit and files the facts were read from."""
    target: str
    layout: tuple[Layout, ...]
