"""Rules made concrete for one spec: links between tensor names and slots, followed in either direction."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir import slots

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.naming.patterns import Pattern
    from ckpt2hf.naming.rules import Naming, Rule
    from ckpt2hf.ops import Mosaic, Op
    from ckpt2hf.tensors import Meta


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
    links = [made for rule in naming.rules for made in _links(rule, spec) if _active(made, wanted)]
    given = [slot for made in links for slot in made.slots]
    names = [name for made in links for name in made.names]
    if len(set(given)) != len(given) or len(set(names)) != len(names):
        raise BrokenPromiseError("two rules of one naming give the same slot or take the same tensor")
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


def _links(rule: Rule, spec: ModelSpec) -> Iterable[Link]:
    left = {v for p in rule.names for v in p.variables}
    right = {v for p in rule.slots for v in p.variables}
    shared = sorted(left & right)
    for values in product(*(_values(v, spec) for v in shared)):
        fixed = dict(zip(shared, values, strict=True))
        names = _expand(rule.names, fixed, spec)
        parts, ops, arity = _expand(rule.slots, fixed, spec), [], len(names)
        for template in rule.ops:
            op = template.bind(spec.dims(), arity)
            arity = op.count(arity)
            ops.append(op)
        if arity != len(parts):
            raise BrokenPromiseError(f"the ops of a rule make {arity} tensors of {names}, it names {len(parts)} slots")
        yield Link(names, parts, tuple(ops))


def _expand(patterns: Sequence[Pattern], fixed: Mapping[str, int], spec: ModelSpec) -> tuple[str, ...]:
    """Each pattern with its shared variables fixed and its own ones running, patterns outermost."""
    names: list[str] = []
    for pattern in patterns:
        own = [v for v in pattern.variables if v not in fixed]
        runs = product(*(_values(v, spec) for v in own))
        names += [pattern.format({**fixed, **dict(zip(own, values, strict=True))}) for values in runs]
    return tuple(names)


def _values(variable: str, spec: ModelSpec) -> range:
    if variable == "L":
        return range(spec.layers, spec.layers + 1)
    return range({"i": spec.layers, "h": spec.heads, "g": spec.kv_heads, "e": spec.experts}[variable])


def _active(made: Link, wanted: Mapping[str, object]) -> bool:
    present = [slot in wanted for slot in made.slots]
    if any(present) and not all(present):
        raise BrokenPromiseError(f"a rule gives {made.slots}, of which this spec has only some")
    return all(present)
