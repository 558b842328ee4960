"""The vocabulary of a dialect file, checked by pydantic: what may be written, and what each word means."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Self

from pydantic import Field, PrivateAttr, model_validator

from ckpt2hf.dialects.fact_problems import fact_problems
from ckpt2hf.dialects.fact_source import FactSource, FactSources, Paths, Patterns, PatternText, Table, When
from ckpt2hf.dialects.families import FAMILIES
from ckpt2hf.dialects.problem import Problem, ProblemsError
from ckpt2hf.dialects.rule_entry import KINDS, RuleEntry
from ckpt2hf.dialects.saving import SaveEntry
from ckpt2hf.naming import (
    Drop,
    Expectation,
    Naming,
    Rule,
    Tie,
    is_slot,
    pattern,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.dialects.own_file import DialectFile
    from ckpt2hf.dialects.toml_lines import Path


class Mark(Table):
    """Something only this codebase leaves in a file: it decides the dialect without asking."""

    meta: str | None = None
    """A metadata path that is there."""
    side: str | None = None
    """A path of a settings file, such as `params.json: dim`, that is there."""
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
        if sum(word is not None for word in (self.meta, self.side, self.record, self.tensor)) != 1:
            raise ValueError("a mark is exactly one of meta, side, record, tensor")
        return self


class Signature(Table):
    """What a file must show to be of this layout. Besides, every tensor name must be known to the naming."""

    needs: Patterns
    """Names that are there."""
    forbids: Patterns = ()
    """Names that are not."""
    ratio: dict[str, int] = Field(default_factory=dict)
    """Pattern of a matrix: how many times more rows than columns it has (tells `[out, in]` from `[in, out]`)."""
    together: tuple[Patterns, ...] = ()
    """Names that are all there, or none."""
    when: When = Field(default_factory=When)
    """What the metadata and the settings files must say, where layouts of the same names differ in that."""
    marks: tuple[Mark, ...] = ()
    """What only this codebase leaves in a file; one of them is enough to be certain."""
    shared: bool = True
    """Whether other codebases save the same names for another function, so that names alone decide nothing."""


class TieEntry(Table):
    """A second name for the same numbers."""

    name: PatternText
    """The second name. Where both are there they are proved equal; either may be missing."""
    same_as: PatternText
    """The name that has a rule."""
    write: bool = True
    """Whether the code's own files have this name, too, so that a checkpoint that is made for it needs it."""
    apart: bool = False
    """Whether the code keeps both in memory of their own. If not, they are one tensor there, and a checkpoint that is
    made for it cannot hold two: the one that is loaded last would win, without a word."""


class DropEntry(Table):
    """A tensor to leave out, once proved to be what is expected."""

    name: PatternText
    """The tensor."""
    expect: Expectation
    """What it is proved to be: `causal_mask`, `future_mask`, `additive_mask`, `masked_score`, `position_ids`,
    `sinusoids`, `rope_frequencies`, `rope_angles`, `rope_cosines` or `rope_sines`."""
    write: bool = True
    """Whether the code as it is now keeps it with the weights, so that a checkpoint that is made for it needs it."""
    shape: tuple[str, ...] = ()
    """Its lengths, in words; without them it has those of what it is, such as `context` twice for a mask."""
    dtype: str | None = None
    """Its type, such as `bool`, if it is not float32 (int64 for positions)."""


class Layout(Table):
    """One generation of a codebase: what its files show, what they mean. Or why it is refused."""

    title: str
    """For people."""
    signature: Signature
    """What a file of this layout shows."""
    target: str | None = None
    """The Hugging Face architecture it becomes, if it is not the dialect's."""
    also: tuple[str, ...] = ()
    """Architectures to try where that one cannot express what the facts say."""
    note: str | None = None
    """What a user must know about the function that no fact says."""
    refuse: str | None = None
    """Why no checkpoint of this layout can be converted: what it computes that no architecture has."""
    family: str = "none"
    """Facts that a whole family of models shares: `gpt`, `llama`, or `none`. What the layout says comes first."""
    facts: dict[str, FactSources] = Field(default_factory=dict)
    """Of every fact, one source or a list of them. Those that find something have to agree; of constants, the first
    whose condition holds is meant."""
    hidden: tuple[str, ...] = ()
    """Facts the names do not show and other codebases with these names answer differently."""
    modules: dict[str, str] = Field(default_factory=dict)
    """Modules whose tensors are slots as they are: `"ln_f" = "final_norm"` says that `ln_f.weight` is the slot
    `final_norm.weight` and `ln_f.bias` its bias, where the model has one."""
    tensors: dict[str, str] = Field(default_factory=dict)
    """Single tensors that are slots as they are."""
    rule: tuple[RuleEntry, ...] = ()
    """Where all other tensors go: every tensor needs a place in one of the tables, a rule, a tie or a drop."""
    tie: tuple[TieEntry, ...] = ()
    """Second names for the same numbers."""
    drop: tuple[DropEntry, ...] = ()
    """Tensors that are left out."""
    save: SaveEntry = Field(default_factory=SaveEntry)
    """How a checkpoint looks that is made for this code."""

    def placed_rules(self) -> Iterator[tuple[Path, Rule]]:
        """Every rule, with its place in the layout. No module has one for a slot that no model has."""
        for name, slot in self.modules.items():
            for kind in KINDS:
                if is_slot(made := pattern(f"{slot}.{kind}")):
                    yield ("modules", name), Rule((pattern(f"{name}.{kind}"),), (made,))
        for name, slot in self.tensors.items():
            yield ("tensors", name), Rule((pattern(name),), (pattern(slot),))
        for k, entry in enumerate(self.rule):
            yield from ((("rule", k), rule) for rule in entry.rules())

    @property
    def naming(self) -> Naming:
        """Rules, ties and drops."""
        return Naming(
            tuple(rule for _, rule in self.placed_rules()),
            tuple(Tie(t.name, t.same_as) for t in self.tie),
            tuple(Drop(d.name, d.expect) for d in self.drop),
        )

    def sources(self, name: str) -> tuple[FactSource, ...]:
        """Where the fact of this name can come from."""
        return self.facts.get(name) or _family(self.family)[name]

    def _problems(self) -> Iterator[Problem]:
        if self.family not in FAMILIES:
            yield Problem(("family",), f"there is no family {self.family}, only {', '.join(FAMILIES)}")
        elif self.refuse is None:
            yield from fact_problems(self.facts, self.hidden, FAMILIES[self.family])
        else:
            for word in ("facts", "modules", "tensors", "rule", "tie", "drop"):
                if getattr(self, word):
                    yield Problem((word,), "a layout that is refused has none")

    @model_validator(mode="after")
    def _total(self) -> Self:
        if problems := list(self._problems()):
            raise ProblemsError(problems)
        return self


@cache
def _family(name: str) -> Mapping[str, tuple[FactSource, ...]]:
    """The facts of a family as sources."""
    return {field: (FactSource(**said),) for field, said in FAMILIES[name].items()}


class Dialect(Table):
    """What one training codebase calls its tensors, and the facts its weights do not show."""

    id: str
    """A short name. It may be that of a built-in dialect: reports say which file is meant."""
    title: str
    """For people."""
    source: str
    """Repository, commit and files the facts were read from."""
    target: str
    """The Hugging Face architecture its checkpoints become."""
    facts: dict[str, FactSources] = Field(default_factory=dict)
    """Facts that all layouts share. What a layout says comes first, and then these, before those of its family."""
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
