"""A rule as it stands in a dialect file: names, slots, and the ops between them."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ckpt2hf.dialects.fact_source import Patterns, Table
from ckpt2hf.naming import (
    DealTemplate,
    JoinTemplate,
    OpTemplate,
    Rule,
    SplitTemplate,
    SqueezeTemplate,
    StackTemplate,
    TransposeTemplate,
    UnsqueezeTemplate,
    UnstackTemplate,
    is_slot,
    pattern,
)

KINDS = ("weight", "bias")
"""The tensors of a module."""


class OpEntry(Table):
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
    unstack: str | None = None
    """A stack along the first axis is taken apart, into as many tensors as this word says."""
    stack: bool | None = None
    """`true`: all tensors are laid on each other, along a new first axis."""
    deal: tuple[str, ...] | None = None
    """Rows are dealt out, so many to each tensor in a round; `rounds` says how many rounds there are."""
    rounds: str = "kv_heads"
    """How many rounds `deal` has."""
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

    names: Patterns = Field(alias="from", min_length=1)
    """Tensors of the checkpoint. A variable on both sides makes one rule of it for each value; one on a single side is
    as many tensors as it has values, in order."""
    slots: Patterns = Field(alias="to", min_length=1)
    """What they become: slots. Or modules that slots are of, such as `layers.{i}.attn.q`: then `from` are modules, too,
    and the same is done with their weights and with their biases."""
    ops: tuple[OpEntry, ...] = ()
    """What is done on the way, in order."""

    def apart(self) -> tuple[RuleEntry, ...]:
        """A rule over modules as one of weights and one of biases; any other is itself."""
        slots = [tuple(pattern(f"{slot}.{kind}") for slot in self.slots) for kind in KINDS]
        names = [tuple(pattern(f"{name}.{kind}") for name in self.names) for kind in KINDS]
        pairs = [pair for pair in zip(names, slots, strict=True) if any(map(is_slot, pair[1]))]
        return tuple(self.model_copy(update={"names": n, "slots": s}) for n, s in pairs) or (self,)

    def rules(self) -> tuple[Rule, ...]:
        """The same as rules of a naming."""
        return tuple(Rule(e.names, e.slots, tuple(op.template() for op in e.ops)) for e in self.apart())
