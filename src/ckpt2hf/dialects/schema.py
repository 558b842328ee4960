"""The vocabulary of a dialect file, checked by pydantic: what may be written, and what each word means."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from ckpt2hf.dialects.fact_source import FactSource, FactSources, Paths, Patterns, PatternText, Table
from ckpt2hf.dialects.families import FAMILIES
from ckpt2hf.ir import FIELDS, parse_field
from ckpt2hf.naming import (
    DealTemplate,
    Drop,
    Expectation,
    JoinTemplate,
    Naming,
    OpTemplate,
    Rule,
    SplitTemplate,
    SqueezeTemplate,
    StackTemplate,
    Tie,
    TransposeTemplate,
    UnsqueezeTemplate,
    UnstackTemplate,
    pattern,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


KINDS = ("weight", "bias")
"""The tensors of a module."""


class Mark(Table):
    """Something only this codebase leaves in a file: it decides the dialect without asking."""

    meta: str | None = None
    """A metadata path that is there."""
    side: str | None = None
    """A path of a settings file, such as `params.json: dim`, that is there."""
    record: str | None = None
    """A metadata path that holds an instance of a class called `named` without the fields `lacks`."""
    named: str = ""
    lacks: Paths = ()
    tensor: PatternText | None = None
    """A tensor name that is there."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(word is not None for word in (self.meta, self.side, self.record, self.tensor)) != 1:
            raise ValueError("a mark is exactly one of meta, side, record, tensor")
        return self


class Signature(Table):
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


class OpEntry(Table):
    """One op of a rule; exactly one word."""

    transpose: bool | None = None
    split: tuple[str, ...] | None = None
    join: str | None = None
    squeeze: int | None = None
    unsqueeze: int | None = None
    unstack: str | None = None
    """Takes a stack apart, as many tensors as this word says."""
    stack: bool | None = None
    """Lays all tensors on each other."""
    deal: tuple[str, ...] | None = None
    """Deals rows out, so many to each in a round; `rounds` says how many rounds there are."""
    rounds: str = "kv_heads"
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
        if self.unstack is not None:
            made.append(UnstackTemplate(self.unstack))
        if self.stack:
            made.append(StackTemplate())
        if self.deal is not None:
            made.append(DealTemplate(self.deal, self.rounds))
        if len(made) != 1:
            raise ValueError("an op is exactly one of transpose, split, join, squeeze, unsqueeze, unstack, stack, deal")
        return made[0]

    @model_validator(mode="after")
    def _one_word(self) -> Self:
        self.template()
        return self


class RuleEntry(Table):
    """These names, put through these ops, are these slots."""

    names: Patterns = Field(alias="from")
    slots: Patterns = Field(alias="to")
    ops: tuple[OpEntry, ...] = ()


class TieEntry(Table):
    """A second name for the same numbers."""

    name: PatternText
    same_as: PatternText


class DropEntry(Table):
    """A tensor to leave out, once proved to be what is expected."""

    name: PatternText
    expect: Expectation


class Layout(Table):
    """One generation of a codebase: what its files show, what they mean. Or why it is refused."""

    title: str
    signature: Signature
    target: str | None = None
    """The Hugging Face architecture it becomes, if it is not the dialect's."""
    also: tuple[str, ...] = ()
    """Architectures to try where that one cannot express what the facts say."""
    note: str | None = None
    """What a user must know about the function that no fact says."""
    refuse: str | None = None
    """Why no checkpoint of this layout can be converted: what it computes that no architecture has."""
    family: str = "none"
    """Facts that a whole family of models shares: one of `families.toml`, or `none`. The layout's own come first."""
    facts: dict[str, FactSources] = Field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    """Facts the names do not show and other codebases with these names answer differently."""
    modules: dict[str, str] = Field(default_factory=dict)
    """Modules whose tensors are slots as they are: `ln_f = "final_norm"` says that `ln_f.weight` is the slot
    `final_norm.weight` and `ln_f.bias` its bias, where the model has one."""
    tensors: dict[str, str] = Field(default_factory=dict)
    """Single tensors that are slots as they are."""
    rule: tuple[RuleEntry, ...] = ()
    """Everything else: tensors that are put through ops."""
    tie: tuple[TieEntry, ...] = ()
    drop: tuple[DropEntry, ...] = ()

    @property
    def naming(self) -> Naming:
        """Rules, ties and drops."""
        plain = {f"{name}.{kind}": f"{slot}.{kind}" for name, slot in self.modules.items() for kind in KINDS}
        return Naming(
            (
                *(Rule((pattern(name),), (pattern(slot),)) for name, slot in {**plain, **self.tensors}.items()),
                *(Rule(r.names, r.slots, tuple(op.template() for op in r.ops)) for r in self.rule),
            ),
            tuple(Tie(t.name, t.same_as) for t in self.tie),
            tuple(Drop(d.name, d.expect) for d in self.drop),
        )

    def sources(self, name: str) -> tuple[FactSource, ...]:
        """Where the fact of this name can come from."""
        return self.facts.get(name) or _family(self.family)[name]

    @model_validator(mode="after")
    def _total(self) -> Self:
        if self.family not in FAMILIES:
            raise ValueError(f"there is no family {self.family}, only {', '.join(FAMILIES)}")
        if self.refuse is not None:
            if self.facts or self.modules or self.tensors or self.rule or self.tie or self.drop:
                raise ValueError("a layout that is refused has no facts, modules, tensors, rules, ties or drops")
            return self
        for text in (*self.modules, *self.modules.values(), *self.tensors, *self.tensors.values()):
            pattern(text)
        missing = [name for name in FIELDS if name not in self.facts and name not in FAMILIES[self.family]]
        unknown = [name for name in (*self.facts, *self.hidden) if name not in FIELDS]
        if missing or unknown:
            raise ValueError(f"facts must name every field of a spec: missing {missing}, unknown {unknown}")
        for name, sources in self.facts.items():
            for source in sources:
                answers: list[Any] = [*source.map.values(), *source.choices]
                for value in answers if source.const is None else [*answers, source.const]:
                    parse_field(name, value)
        return self


@cache
def _family(name: str) -> Mapping[str, tuple[FactSource, ...]]:
    """The facts of a family as sources."""
    return {field: (FactSource(**said),) for field, said in FAMILIES[name].items()}


class Dialect(Table):
    """What one training codebase calls its tensors, and the facts its weights do not show."""

    id: str
    title: str
    source: str
    """Repository, commit and files the facts were read from."""
    target: str
    """The Hugging Face architecture its checkpoints become."""
    layout: tuple[Layout, ...]
