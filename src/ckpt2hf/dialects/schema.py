"""The vocabulary of a dialect file, checked by pydantic: what may be written, and what each word means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, model_validator

from ckpt2hf.dialects.fact_problems import fact_problems
from ckpt2hf.dialects.problem import ProblemsError
from ckpt2hf.dialects.wording import shown
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

if TYPE_CHECKING:
    from ckpt2hf.dialects.own_file import DialectFile


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _pattern(value: object) -> Pattern:
    if not isinstance(value, str):
        raise ValueError(f"takes a name in quotes, not {shown(value)}")  # noqa: TRY004 - pydantic collects ValueErrors
    return pattern(value)


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
    """The variable that `count` counts."""
    shape: PatternText | None = None
    """The length of an axis of the tensors of this name."""
    axis: int = Field(default=0, ge=0)
    """Which axis `shape` means, counted from 0."""
    meta: str | None = None
    """A path in the checkpoint's own metadata."""
    side: str | None = None
    """A path in a `config.json` beside the checkpoint."""
    module: PatternText | None = None
    """A module of a pickled model: an attribute of it, or, for `activation`, its class."""
    attribute: str | None = None
    """The attribute of the `module`."""
    const: bool | int | float | str | None = None
    """What this codebase's source says; `why` says where."""
    why: str = ""
    """The line of the source code that shows the `const`."""
    ask: str | None = None
    """A question only a person can answer; `choices` maps each answer to its meaning."""
    choices: dict[str, str] = Field(default_factory=dict)
    """The answers to `ask`, each with its meaning; without them any value will do."""
    same: Annotated[tuple[PatternText, PatternText], Field()] | None = None
    """Whether two tensors hold the same numbers, by storage or by value."""
    present: PatternText | None = None
    """Whether tensors of this name exist."""
    quotient: tuple[str, str] | None = None
    """One field divided by another, without remainder."""
    map: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Translates what was found; a value that is not listed is not understood and does not count."""
    when: When = Field(default_factory=When)
    """What else the file has to show for this source to count."""

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


FactSources = Annotated[tuple[FactSource, ...], BeforeValidator(_listed), Field(min_length=1)]


class Mark(_Table):
    """Something only this codebase leaves in a file: it decides the dialect without asking."""

    meta: str | None = None
    """A metadata path that is there."""
    record: str | None = None
    """A metadata path that holds an instance of a class called `named` without the fields `lacks`."""
    named: str = ""
    """The name of the class of the `record`."""
    lacks: Paths = ()
    """Fields that the `record` does not have."""
    tensor: PatternText | None = None
    """A tensor name that is there."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if sum(word is not None for word in (self.meta, self.record, self.tensor)) != 1:
            raise ValueError("a mark is exactly one of meta, record, tensor")
        return self


class Signature(_Table):
    """What a file must show to be of this layout. Besides, every tensor name must be known to the naming."""

    needs: Patterns
    """Names that are there."""
    forbids: Patterns = ()
    """Names that are not."""
    ratio: dict[str, int] = Field(default_factory=dict)
    """Pattern of a matrix: how many times more rows than columns it has (tells `[out, in]` from `[in, out]`)."""
    together: tuple[Patterns, ...] = ()
    """Names that are all there, or none."""
    marks: tuple[Mark, ...] = ()
    """What only this codebase leaves in a file; one of them is enough to be certain."""
    shared: bool = True
    """Whether other codebases save the same names for another function, so that names alone decide nothing."""


class OpEntry(_Table):
    """One op of a rule; exactly one word."""

    transpose: bool | None = None
    """`true`: the axes of every matrix are exchanged."""
    split: tuple[str, ...] | None = None
    """One tensor is cut into parts of these lengths."""
    join: str | None = None
    """All tensors, each of this length, become one."""
    squeeze: int | None = Field(default=None, ge=0)
    """This axis, of length one, is taken away."""
    unsqueeze: int | None = Field(default=None, ge=0)
    """An axis of length one is put here."""
    axis: int = Field(default=0, ge=0)
    """Along which axis `split` and `join` work, counted from 0."""

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

    names: Patterns = Field(alias="from", min_length=1)
    """Tensors of the checkpoint. A variable on both sides makes one rule of it for each value; one on a single side is
    as many tensors as it has values, in order."""
    slots: Patterns = Field(alias="to", min_length=1)
    """What they become."""
    ops: tuple[OpEntry, ...] = ()
    """What is done on the way, in order."""

    def rule(self) -> Rule:
        """The same as a rule of a naming."""
        return Rule(self.names, self.slots, tuple(op.template() for op in self.ops))


class TieEntry(_Table):
    """A second name for the same numbers."""

    name: PatternText
    """The second name. Where both are there they are proved equal; either may be missing."""
    same_as: PatternText
    """The name that has a rule."""


class DropEntry(_Table):
    """A tensor to leave out, once proved to be what is expected."""

    name: PatternText
    """The tensor."""
    expect: Expectation
    """`causal_mask`: ones on and below the diagonal, zeros above."""


class Layout(_Table):
    """One generation of a codebase: what its files show, what they mean."""

    title: str
    """For people."""
    signature: Signature
    """What a file of this layout shows."""
    facts: dict[str, FactSources]
    """Of every fact, one source or a list of them. Those that find something have to agree; of constants, the first
    whose condition holds is meant."""
    hidden: tuple[str, ...] = ()
    """Facts the names do not show and other codebases with these names answer differently."""
    rule: tuple[RuleEntry, ...]
    """Where the tensors go: every tensor needs a rule, a tie or a drop."""
    tie: tuple[TieEntry, ...] = ()
    """Second names for the same numbers."""
    drop: tuple[DropEntry, ...] = ()
    """Tensors that are left out."""

    @property
    def naming(self) -> Naming:
        """Rules, ties and drops."""
        return Naming(
            tuple(entry.rule() for entry in self.rule),
            tuple(Tie(t.name, t.same_as) for t in self.tie),
            tuple(Drop(d.name, d.expect) for d in self.drop),
        )

    @model_validator(mode="after")
    def _total(self) -> Self:
        if problems := list(fact_problems(self.facts, self.hidden)):
            raise ProblemsError(problems)
        return self


class Dialect(_Table):
    """What one training codebase calls its tensors, and the facts its weights do not show."""

    id: str
    """A short name. It may be that of a built-in dialect: reports say which file is meant."""
    title: str
    """For people."""
    source: str
    """Repository, commit and files the facts were read from."""
    target: str
    """The Hugging Face architecture to convert to."""
    layout: tuple[Layout, ...]
    """The generations of the codebase, one at least."""
    _file: DialectFile | None = PrivateAttr(default=None)
    """The user's own file it was read from."""

    @property
    def file(self) -> DialectFile | None:
        """The user's own file it was read from; None for a built-in dialect."""
        return self._file

    @property
    def name(self) -> str:
        """What to call it before people: its id, and the file if it is the user's own."""
        return self.id if self._file is None else f"{self.id} ({self._file.path.name})"

    def read_from(self, file: DialectFile) -> Self:
        """The same, of the user's own file."""
        made = self.model_copy()
        made._file = file  # noqa: SLF001 - of this very class
        return made
