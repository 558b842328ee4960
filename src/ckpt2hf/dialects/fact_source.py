"""Where a fact can come from: the words of `[facts]` and `[layout.facts]` in a dialect file, checked by pydantic."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ckpt2hf.dialects.wording import shown
from ckpt2hf.naming import Pattern, pattern


def listed(value: object) -> object:
    """A list; a single value is one of its own."""
    return value if isinstance(value, list) else [value]


def _pattern(value: object) -> Pattern:
    if not isinstance(value, str):
        raise ValueError(f"takes a name in quotes, not {shown(value)}")  # noqa: TRY004 - pydantic collects ValueErrors
    return pattern(value)


PatternText = Annotated[Pattern, BeforeValidator(_pattern)]
Patterns = Annotated[tuple[PatternText, ...], BeforeValidator(listed)]
Paths = Annotated[tuple[str, ...], BeforeValidator(listed)]


class Table(BaseModel):
    """A table that knows every key it may hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class When(Table):
    """A condition on what the file shows; all parts must hold.

    A path is one in the checkpoint's own metadata, or, as `params.json: rope.theta`, in a settings file beside it.
    """

    has: Paths = ()
    """Paths that must be there."""
    lacks: Paths = ()
    """Paths that must not be there."""
    equal: dict[str, str] = Field(default_factory=dict)
    """Paths with the text of the value that must be there."""
    unequal: dict[str, str] = Field(default_factory=dict)
    """Paths with the text of the value that must not be there."""
    tensor: Patterns = ()
    """Names of tensors that must be there."""
    no_tensor: Patterns = ()
    """Names of tensors that must not be there."""
    no_module: Patterns = ()
    """Modules of a pickled model that must not be there: they say what a constant would say."""


SOURCES = (
    *("count", "shape", "meta", "side", "module", "const", "ask", "same", "present", "angles", "quotient", "equals"),
)


class FactSource(Table):
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
    """A path in a settings file beside the checkpoint: `params.json: n_heads`; in `config.json` if no file is named."""
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
    angles: PatternText | None = None
    """The base of RoPE, read off a saved table of its frequencies, angles or cosines."""
    quotient: tuple[str, str] | None = None
    """One field divided by another, without remainder."""
    equals: str | None = None
    """The value of another field."""
    per: str | None = None
    """Divides what was found by another field, without remainder: rows of a matrix per `head_dim` are heads."""
    times: str | None = None
    """Multiplies what was found with another field."""
    less: str | None = None
    """Takes another field off what was found."""
    matches: str | None = None
    """Whether the text that was found holds this regular expression: the fact is true or false."""
    compose: str | None = None
    """A text with fields of the table that was found: `llama3:{factor},{low},{high},{original}`."""
    map: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Translates what was found; a value that is not listed is not understood and does not count."""
    when: When = Field(default_factory=When)
    """What else the file has to show for this source to count."""

    @property
    def kind(self) -> str:
        """Which of the `SOURCES` this is."""
        return next(word for word in SOURCES if getattr(self, word) is not None)

    @property
    def arithmetic(self) -> tuple[tuple[str, str], ...]:
        """What is done with what was found: signs and fields, in order."""
        said = (("/", self.per), ("x", self.times), ("-", self.less))
        return tuple((sign, name) for sign, name in said if name is not None)

    @property
    def operands(self) -> tuple[str, ...]:
        """The fields it is derived from."""
        equal = (self.equals,) if self.equals else ()
        return (*(self.quotient or ()), *equal, *(name for _, name in self.arithmetic))

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [word for word in SOURCES if getattr(self, word) is not None]
        if len(kinds) != 1:
            raise ValueError(f"a fact has exactly one source out of {', '.join(SOURCES)}; here: {kinds or 'none'}")
        if self.const is not None and not self.why:
            raise ValueError("a constant needs a `why`")
        return self


FactSources = Annotated[tuple[FactSource, ...], BeforeValidator(listed), Field(min_length=1)]
