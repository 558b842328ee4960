"""Places as the tables of a dialect file take them: modules, single tensors, rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.parts import QUESTION, Choice, Place, text, toml_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of `modules` or `tensors`, or one rule; `places` are the tensors it is about."""

    table: str
    name: str
    places: tuple[Place, ...]

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What may stand there, the likeliest first."""
        return self.places[0].choices

    @property
    def sure(self) -> bool:
        """Whether it is an answer."""
        return all(place.sure for place in self.places)


def entries(places: Sequence[Place]) -> tuple[Entry, ...]:
    """Every place in one entry, in the order of the file."""
    by_module: dict[str, list[Place]] = {}
    for place in places:
        if place.kind.module is not None:
            by_module.setdefault(place.kind.module, []).append(place)
    found: list[Entry] = []
    done: set[str] = set()
    for place in places:
        module = place.kind.module
        if module is not None and _is_module(by_module[module]):
            if module not in done:
                found.append(Entry("modules", module, tuple(by_module[module])))
                done.add(module)
        elif place.choices and all(not choice.ops and len(choice.slots) == 1 for choice in place.choices):
            found.append(Entry("tensors", place.kind.pattern, (place,)))
        else:
            found.append(Entry("rule", place.kind.pattern, (place,)))
    return tuple(found)


def _is_module(places: Sequence[Place]) -> bool:
    """Whether weight and bias of a module are those of one slot, as they are, whatever the answer is."""
    if not places[0].kind.pattern.endswith(".weight") or len({place.sure for place in places}) > 1:
        return False
    bases = []
    for place in places:
        leaf = place.kind.pattern.rpartition(".")[2]
        if not all(len(c.slots) == 1 and not c.ops and c.slots[0].endswith(f".{leaf}") for c in place.choices):
            return False
        bases.append([choice.slots[0].removesuffix(f".{leaf}") for choice in place.choices])
    return bool(bases[0]) and all(sorted(base) == sorted(bases[0]) for base in bases)


def lines(entry: Entry, number: int) -> Iterator[str]:
    """An entry of `modules` or `tensors`, with its confidence or its question; `number` is that of the question."""
    shapes = " and ".join(str(list(place.kind.shape)) for place in entry.places)
    if entry.sure:
        choice = entry.choices[0]
        yield f"{text(entry.name)} = {text(_target(entry, choice))}  # {choice.confidence:.2f}: {shapes}, {choice.why}"
        return
    asked = entry.places[0].question
    yield f"# Question {number}. {entry.name} {shapes}: {asked if asked[-1] in '?.' else f'{asked}.'} One of"
    for choice in entry.choices:
        yield f"#   {text(entry.name)} = {text(_target(entry, choice))}  # {choice.confidence:.2f}: {choice.why}"
    yield f"{text(entry.name)} = {text(QUESTION)}"


def rule(entry: Entry, number: int) -> Iterator[str]:
    """A rule, with its confidence or its question."""
    (place,) = entry.places
    if place.sure:
        choice = place.choices[0]
        yield f"# {choice.confidence:.2f}: {list(place.kind.shape)}, {choice.why}"
        yield from _table(entry.name, toml_list(choice.slots), _ops(choice))
        return
    if not place.choices:
        end = "" if place.question[-1] in "?." else "."
        yield f"# Question {number}. {place.kind}: {place.question}{end}"
        yield "# No place is known for it. `to` takes a slot, `ops` what is done on the way: docs/dialect-file.md. If"
        yield "# no slot is right, the model computes something that cannot be converted."
        yield from _table(entry.name, text(QUESTION), None)
        return
    ops_differ = len({choice.ops for choice in place.choices}) > 1
    slots_differ = len({choice.slots for choice in place.choices}) > 1 or not ops_differ
    asked = place.question if place.question[-1] in "?." else f"{place.question}."
    yield f"# Question {number}. {place.kind}: {asked} One of"
    for choice in place.choices:
        told = [f"to = {toml_list(choice.slots)}"] if slots_differ else []
        told += [f"ops = {_ops(choice) or '[]'}"] if ops_differ else []
        for k, line in enumerate(told):
            yield f"#   {line}" + (f"  # {choice.confidence:.2f}: {choice.why}" if not k else "")
    first = place.choices[0]
    to = text(QUESTION) if slots_differ else toml_list(first.slots)
    yield from _table(entry.name, to, text(QUESTION) if ops_differ else _ops(first))


def _target(entry: Entry, choice: Choice) -> str:
    slot = choice.slots[0]
    return slot.rpartition(".")[0] if entry.table == "modules" else slot


def _ops(choice: Choice) -> str | None:
    return f"[{', '.join(choice.ops)}]" if choice.ops else None


def _table(name: str, to: str, ops: str | None) -> Iterator[str]:
    yield "[[layout.rule]]"
    yield f"from = {text(name)}"
    yield f"to = {to}"
    if ops is not None:
        yield f"ops = {ops}"
