"""How a training code's own files look: the words of `[layout.save]` in a dialect file, checked by pydantic."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ckpt2hf.dialects.fact_source import Table


class FieldEntry(Table):
    """What stands at one path of the file: exactly one word."""

    fact: str | None = None
    """The value of this fact, or of a length."""
    const: bool | int | float | str | None = None
    """Always this value."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.fact is None) == (self.const is None):
            raise ValueError("a field is exactly one of fact, const")
        return self


class OptimizerEntry(Table):
    """An AdamW that has not taken a step, of two groups: matrices, and vectors, which do not decay."""

    key: str = "optimizer"
    """Where it stands in the file."""
    settings: dict[str, bool | int | float]
    """What both groups say; `weight_decay` is that of the matrices."""
    betas: tuple[float, float]
    """The two of Adam."""


class SaveEntry(Table):
    """How the training code's own files look, for a checkpoint that is made for it. Without it: a bare state dict."""

    weights: str = ""
    """The path of the state dict in the file; a bare state dict without it."""
    fields: dict[str, FieldEntry] = Field(default_factory=dict)
    """What else the code reads from the file, by path: `"model_args.n_layer" = { fact = "layers" }`."""
    optimizer: OptimizerEntry | None = None
    """The state of an optimizer that the code insists on when it goes on training."""
    always: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Facts of every model that the code can make, where reading knows more: a bias that is never left out. A length
    may be given as the word of another."""
