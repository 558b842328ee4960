"""Rules made concrete for one spec: links between tensor names and slots, followed in either direction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir import slots
from ckpt2hf.naming.patterns import near
from ckpt2hf.ops import Deal, Split, Unstack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.naming.patterns import Pattern
    from ckpt2hf.naming.rules import Naming, Rule
    from ckpt2hf.ops import Mosaic, Op
    from ckpt2hf.tensors import Meta


class UnsoundRuleError(BrokenPromiseError):
    """A rule that cannot be followed, whatever the checkpoint."""

    rule: Rule | None = None
    op: int | None = None
    """Which of its ops is to blame, if one is."""

    def about(self, rule: Rule, op: int | None = None) -> UnsoundRuleError:
        """The same, with the rule that it is about."""
        self.rule, self.op = rule, op
        return self


@dataclass(frozen=True, slots=True)
class Link:
    """These tensors, put through these ops in order, are these slots."""

    names: tuple[str, ...]
    slots: tuple[str, ...]
    ops: tuple[Op, ...]

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """What the slots are when the names are this. Raises MappingError."""
        parts = tuple(metas)
        for op in self.ops:
            parts = op.infer(parts)
        return parts

    def forward(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """From names to slots."""
        parts = tuple(parts)
        for op in self.ops:
            parts = op.apply(parts)
        return parts

    def backward(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """From slots to names."""
        parts = tuple(parts)
        for op in reversed(self.ops):
            parts = op.inverse().apply(parts)
        return parts

    def describe(self) -> str:
        """The ops in words; `as it is` when there are none."""
        return ", ".join(op.describe() for op in self.ops) or "as it is"


def link(naming: Naming, spec: ModelSpec) -> tuple[Link, ...]:
    """Every rule that this spec has slots for, made concrete. Each slot is given exactly once."""
    wanted = slots(spec)
    links: list[Link] = []
    seen: set[str] = set()
    for rule in naming.rules:
        for made in concrete(rule, spec):
            if not _active(made, wanted, rule):
                continue
            both = [*(f"slot {slot}" for slot in made.slots), *(f"tensor {name}" for name in made.names)]
            again = [one for k, one in enumerate(both) if one in seen or one in both[:k]]
            if again:
                raise UnsoundRuleError(f"two rules of one naming speak of {again[0]}").about(rule)
            seen.update(both)
            links.append(made)
    return tuple(links)


def to_slots(links: Iterable[Link], tensors: Mapping[str, Mosaic]) -> dict[str, Mosaic]:
    """Slots made from tensors: a checkpoint, or a Hugging Face directory, read."""
    return {
        slot: part
        for made in links
        for slot, part in zip(made.slots, made.forward([tensors[n] for n in made.names]), strict=True)
    }


def to_names(links: Iterable[Link], given: Mapping[str, Mosaic]) -> dict[str, Mosaic]:
    """Tensors made from slots: the links run backwards."""
    return {
        name: part
        for made in links
        for name, part in zip(made.names, made.backward([given[s] for s in made.slots]), strict=True)
    }


def concrete(rule: Rule, spec: ModelSpec) -> Iterator[Link]:
    """The links of one rule, wanted or not. Raises UnsoundRuleError."""
    left = {v for p in rule.names for v in p.variables}
    right = {v for p in rule.slots for v in p.variables}
    shared = sorted(left & right)
    for values in product(*(values_of(v, spec) for v in shared)):
        fixed = dict(zip(shared, values, strict=True))
        names = _expand(rule.names, fixed, spec)
        parts, ops, arity = _expand(rule.slots, fixed, spec), [], len(names)
        for k, template in enumerate(rule.ops):
            try:
                op = template.bind(spec.dims(), arity)
            except KeyError as error:
                word = str(error.args[0])
                raise UnsoundRuleError(f"there is no length {word}{near(word, spec.dims())}").about(rule, k) from error
            if isinstance(op, Split | Unstack | Deal) and arity != 1:
                raise UnsoundRuleError(f"{op.describe()} takes one tensor, here are {arity}").about(rule, k)
            arity = op.count(arity)
            ops.append(op)
        if arity != len(parts):
            made = f"the ops make {arity} of {len(names)} tensors" if ops else f"there are {len(names)} tensors"
            raise UnsoundRuleError(f"{made}, and the rule names {len(parts)} slots").about(rule)
        yield Link(names, parts, tuple(ops))


def _expand(patterns: Sequence[Pattern], fixed: Mapping[str, int], spec: ModelSpec) -> tuple[str, ...]:
    """Each pattern with its shared variables fixed and its own ones running, patterns outermost."""
    names: list[str] = []
    for pattern in patterns:
        own = [v for v in pattern.variables if v not in fixed]
        runs = product(*(values_of(v, spec) for v in own))
        names += [pattern.format({**fixed, **dict(zip(own, values, strict=True))}) for values in runs]
    return tuple(names)


def names_of(pattern: Pattern, spec: ModelSpec) -> tuple[str, ...]:
    """Every name that a pattern stands for in a model of this spec."""
    return _expand((pattern,), {}, spec)


def values_of(variable: str, spec: ModelSpec) -> range:
    """The values that a variable of a pattern takes."""
    if variable == "L":
        return range(spec.layers, spec.layers + 1)
    return range({"i": spec.layers, "h": spec.heads, "g": spec.kv_heads, "e": spec.experts}[variable])


def _active(made: Link, wanted: Mapping[str, object], rule: Rule) -> bool:
    present = [slot in wanted for slot in made.slots]
    if any(present) and not all(present):
        raise UnsoundRuleError(f"a rule gives {', '.join(made.slots)}, of which this model has only some").about(rule)
    return all(present)
