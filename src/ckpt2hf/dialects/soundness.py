"""What a schema cannot see: words that refer to each other, slots that exist, rules whose numbers of tensors fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from ckpt2hf.dialects.fact_problems import fact_problems
from ckpt2hf.dialects.fact_source import FactSource
from ckpt2hf.dialects.families import FAMILIES
from ckpt2hf.dialects.problem import Problem
from ckpt2hf.dialects.rule_entry import KINDS, RuleEntry
from ckpt2hf.dialects.saving import SaveEntry
from ckpt2hf.dialects.schema import DropEntry, TieEntry
from ckpt2hf.dialects.toml_lines import written
from ckpt2hf.ir import FIELDS, parse_field
from ckpt2hf.ir.samples import samples
from ckpt2hf.naming import Rule, UnsoundRuleError, concrete, is_slot, near, pattern, slot_families
from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.dialects.toml_lines import Path

Table = TypeVar("Table", bound=BaseModel)
TYPES = tuple(kind.torch_name for kind in DType)
"""The types a tensor can have."""


def layout_problems(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """What makes no sense in a `[[layout]]`, as far as its parts are valid by themselves."""
    facts = _facts(tree.get("facts"))
    hidden = [name for name in _list(tree.get("hidden")) if isinstance(name, str)]
    if isinstance(tree.get("facts"), dict):
        yield from fact_problems(facts, hidden, FAMILIES.get(str(tree.get("family", "none")), {}))
    for name, sources in facts.items():
        for k, source in enumerate(sources):
            yield from (problem.below("facts", name, k) for problem in _source_problems(source))
    yield from _circles(facts)
    signature = tree.get("signature")
    ratio = signature.get("ratio") if isinstance(signature, dict) else None
    for text in ratio if isinstance(ratio, dict) else ():
        try:
            pattern(text)
        except ValueError as error:
            yield Problem(("signature", "ratio", text), str(error))
    for k, tie in _valid(TieEntry, tree.get("tie")).items():
        if loose := set(tie.same_as.variables) - set(tie.name.variables):
            yield Problem(("tie", k, "same_as"), f"{{{loose.pop()}}} is not in `name`, so it has no value")
    yield from _save_problems(_valid(SaveEntry, tree.get("save")).get(0))
    yield from _shape_problems(_valid(DropEntry, tree.get("drop")))
    before = _Before()
    yield from _table_problems(tree, before)
    yield from _rule_problems(_valid(RuleEntry, tree.get("rule")), before)


def _facts(tree: object) -> dict[str, list[FactSource]]:
    """The sources of each fact; those that are wrong by themselves stand for nothing."""
    if not isinstance(tree, dict):
        return {}
    blank = FactSource(ask="?")
    return {
        str(name): [_valid(FactSource, given).get(k, blank) for k in range(len(_list(given)))]
        for name, given in tree.items()
    }


def _valid(kind: type[Table], tree: object) -> dict[int, Table]:
    """The tables of a list that are valid, by position."""
    found = {}
    for k, each in enumerate(_list(tree)):
        try:
            found[k] = kind.model_validate(each)
        except ValidationError:
            continue  # told by the schema
    return found


def _list(tree: object) -> list[Any]:
    return tree if isinstance(tree, list) else [] if tree is None else [tree]


def _source_problems(source: FactSource) -> Iterator[Problem]:
    if source.count is not None and source.of not in source.count.variables:
        place = ("of",) if "of" in source.model_fields_set else ("count",)
        yield Problem(place, f"{{{source.of}}} is what is counted, and {source.count} does not have it")
    for k, tensor in enumerate(source.same or ()):
        if tensor.variables:
            yield Problem(("same", k), f"{tensor} has to be the name of one tensor, without {{ }}")
    if source.equals is not None and source.equals not in FIELDS:
        yield Problem(("equals",), f"{source.equals} is no fact{near(source.equals, FIELDS)}")
    operands = [(("quotient", k), name) for k, name in enumerate(source.quotient or ())]
    words = (("per", source.per), ("times", source.times), ("less", source.less))
    for path, name in [*operands, *(((word,), name) for word, name in words if name is not None)]:
        if name not in FIELDS or name not in samples()[0].dims():
            what = "is no whole number" if name in FIELDS else f"is no fact{near(name, FIELDS)}"
            yield Problem(path, f"{name} {what}")


def _circles(facts: Mapping[str, list[FactSource]]) -> Iterator[Problem]:
    """Facts that would have to be known before they are known."""
    needs = {name: {part for s in sources for part in s.quotient or ()} for name, sources in facts.items()}
    for name, sources in facts.items():
        reached: set[str] = set()
        ahead = set(needs[name])
        while ahead:
            part = ahead.pop()
            reached.add(part)
            ahead |= needs.get(part, set()) - reached
        if name in reached:
            k = next(k for k, source in enumerate(sources) if source.quotient)
            yield Problem(("facts", name, k, "quotient"), f"{name} would follow from itself")


@dataclass(slots=True)
class _Before:
    """What rules have already, and which of them, as they are checked one after the other."""

    slots: dict[str, Path] = field(default_factory=dict)
    names: dict[str, Path] = field(default_factory=dict)


def _table_problems(tree: Mapping[str, Any], before: _Before) -> Iterator[Problem]:
    """Names and slots of the tables `modules` and `tensors`."""
    known = [str(family) for family in slot_families()]
    for word, kinds in (("modules", KINDS), ("tensors", ("",))):
        table = tree.get(word)
        for name, slot in table.items() if isinstance(table, dict) else ():
            if not isinstance(slot, str):
                continue  # told by the schema
            ends = [f".{kind}" if kind else "" for kind in kinds]
            try:
                rules = [Rule((pattern(f"{name}{end}"),), (pattern(f"{slot}{end}"),)) for end in ends]
            except ValueError as error:
                yield Problem((word, name), str(error))
                continue
            if sound := [rule for rule in rules if is_slot(*rule.slots)]:
                found = [told for rule in sound for told in (*_repeated(rule, (word, name), before), *_misfit(rule))]
                yield from (Problem((word, name), told.what) for told in found[:1])
            else:
                first = rules[0].slots[0]
                yield Problem((word, name), f"there is no slot {first}{near(str(first), known)}")


def _shape_problems(drops: Mapping[int, DropEntry]) -> Iterator[Problem]:
    """Lengths of drops that do not exist, and types."""
    dims = samples()[0].dims()
    for k, drop in drops.items():
        for n, word in enumerate(drop.shape):
            if word not in dims:
                yield Problem(("drop", k, "shape", n), f"there is no length {word}{near(word, dims)}")
        if drop.dtype is not None and drop.dtype not in TYPES:
            yield Problem(("drop", k, "dtype"), f"there is no type {drop.dtype}{near(drop.dtype, TYPES)}")


def _save_problems(save: SaveEntry | None) -> Iterator[Problem]:
    """Facts that `save` names and that do not exist, or cannot have such a value."""
    known = {*FIELDS, *samples()[0].dims()}
    for path, entry in save.fields.items() if save else ():
        if entry.fact is not None and entry.fact not in known:
            yield Problem(("save", "fields", path, "fact"), f"there is no fact {entry.fact}{near(entry.fact, known)}")
    for name, value in save.always.items() if save else ():
        if name not in FIELDS:
            yield Problem(("save", "always", name), f"there is no fact {name}{near(name, FIELDS)}")
        elif value not in samples()[0].dims():
            try:
                parse_field(name, value)
            except ValueError as error:
                yield Problem(("save", "always", name), str(error))


def _rule_problems(rules: Mapping[int, RuleEntry], before: _Before) -> Iterator[Problem]:
    known = [str(family) for family in slot_families()]
    for k, entry in rules.items():
        found = []
        for rule in entry.rules():
            told = [
                Problem(("to", n), f"there is no slot {slot}{near(str(slot), known)}")
                for n, slot in enumerate(rule.slots)
                if not is_slot(slot)
            ]
            found.append([*told, *_repeated(rule, ("rule", k), before), *(() if told else _misfit(rule))])
        told_of = next(filter(None, found), [])  # of a module's weight, or else of its bias
        yield from (problem.below("rule", k) for problem in told_of)


def _repeated(rule: Rule, place: Path, before: _Before) -> Iterator[Problem]:
    """Slots and names that a rule, or one before it, has already; they are added to `before`."""
    for word, patterns, seen in (("to", rule.slots, before.slots), ("from", rule.names, before.names)):
        for n, each in enumerate(map(str, patterns)):
            if each in seen:
                yield Problem((word, n), f"{each} is in {written(seen[each])} as well")
            seen.setdefault(each, place)


def _misfit(rule: Rule) -> Iterator[Problem]:
    """Why a rule cannot be followed for any model."""
    spec = samples()[0]
    try:
        for _ in concrete(rule, spec):
            pass
    except UnsoundRuleError as error:
        yield Problem(("ops", error.op) if error.op is not None else (), error.what)
