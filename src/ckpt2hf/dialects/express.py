"""Whether a layout can express a model: the file it would be is read as the layout reads files, and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.dialects.fact import Fact, Origin
from ckpt2hf.dialects.fit import fit
from ckpt2hf.dialects.resolve import Resolution, resolve
from ckpt2hf.dialects.unwritten import Unwritten, unwritten
from ckpt2hf.errors import MappingError, UnsupportedError
from ckpt2hf.ir import FIELDS, Factor, choices, parse_field, plain
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.naming import UnsoundRuleError, collapse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects.schema import Dialect, Layout
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.ops import Mosaic

_ROUNDS = len(FIELDS)
"""An answer may lead to another question, never back to the same."""
YOURS = "the model's own, which the code that loads the checkpoint has to share"


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Something about a model that a layout cannot say."""

    field: str
    """Of the spec; empty where none is to blame."""
    message: str
    wanted: Any = None
    """The value that the layout has instead, where it has one."""


@dataclass(frozen=True, slots=True)
class Expressed:
    """A model as a layout would hold it."""

    file: Unwritten | None
    """None where no file can be made."""
    mismatches: tuple[Mismatch, ...]
    """Empty when the file, read, is this very model."""
    answers: Mapping[str, Fact]
    """Facts that the file will not show, and that the code has to have: each with the model's value."""


def express(
    dialect: Dialect, layout: Layout, spec: ModelSpec, slots: Mapping[str, Mosaic], said: Mapping[str, Fact]
) -> Expressed:
    """The model in the words of a layout. `said` are facts about the code, from the user."""
    try:
        file = unwritten(layout, spec, slots)
    except (UnsoundRuleError, MappingError, UnsupportedError) as error:
        return Expressed(None, (*_never(layout, spec), Mismatch("", error.what)), {})
    read = read_as(layout, file.checkpoint(), spec, said)
    found = [*_never(layout, spec), *_one(layout, file), *_apart(read.resolution, spec), *_unanswerable(layout, read)]
    held = {slot for made in file.links for slot in made.slots}
    found += [Mismatch("", f"there is no name for {slot}") for slot in collapse(set(slots_of(spec)) - held)]
    found += [Mismatch("", reason) for reason in fit(dialect, layout, file.checkpoint()).misfits if not found]
    return Expressed(file, tuple(_once(found)), read.answers)


@dataclass(frozen=True, slots=True)
class ReadAs:
    """A checkpoint read as one layout by somebody who knows the model."""

    resolution: Resolution
    answers: Mapping[str, Fact]
    spec: ModelSpec


def read_as(layout: Layout, checkpoint: Checkpoint, spec: ModelSpec, said: Mapping[str, Fact]) -> ReadAs:
    """The checkpoint's facts, questions answered with those of a known spec, unless the user said something."""
    answers = dict(said)
    resolution = resolve(layout, checkpoint, answers, asserted=True)
    for _ in range(_ROUNDS):
        asked = [each.field for each in resolution.questions if each.field not in answers]
        if not asked:
            break
        answers |= {name: Fact(name, getattr(spec, name), Origin.USER, YOURS) for name in asked}
        resolution = resolve(layout, checkpoint, answers, asserted=True)
    return ReadAs(resolution, answers, spec)


def _never(layout: Layout, spec: ModelSpec) -> Iterator[Mismatch]:
    """What the code's own class never has."""
    dims = spec.dims()
    for name, value in layout.save.always.items():
        wanted = dims[value] if isinstance(value, str) and value in dims else parse_field(name, value)
        if (found := getattr(spec, name)) != wanted:
            yield Mismatch(name, f"{name} is {_shown(found)}; this code always has {_shown(wanted)}", wanted)


def _one(layout: Layout, file: Unwritten) -> Iterator[Mismatch]:
    """Two tensors of the file that are one in the code."""
    slots = {name: made.slots[0] for made in file.links for name in made.names}
    for tie in layout.tie:
        for name in slots if not tie.apart else ():
            if (values := tie.name.match(name)) is not None and (holder := tie.same_as.format(values)) in slots:
                field = "tied" if slots[name] == "head.weight" else ""
                told = f"{name} and {holder} are one tensor in this code, and two in this model"
                yield Mismatch(field, f"{told} (unless its tie says `apart`)")


def _apart(resolution: Resolution, spec: ModelSpec) -> Iterator[Mismatch]:
    """Facts that the file would show otherwise, and those that would contradict each other."""
    for name, fact in resolution.facts.items():
        if (found := getattr(spec, name)) != fact.value:
            message = f"{name} is {_shown(found)}; here it is {_shown(fact.value)} ({fact.origin.value}: {fact.where})"
            yield Mismatch(name, message, fact.value)
    for text in resolution.conflicts:
        name = text.partition(" ")[0]
        yield Mismatch(name if name in FIELDS else "", text)
    missing = [name for name in FIELDS if name not in resolution.facts]
    if missing and not resolution.conflicts:
        yield Mismatch("", f"nothing would say what {', '.join(missing)} is")


def _unanswerable(layout: Layout, read: ReadAs) -> Iterator[Mismatch]:
    """Questions whose answers are listed, and this model's is not among them.

    Numbers are settings, so an answer need not be listed; words are code, and what is not listed is not written.
    """
    for name, fact in read.answers.items():
        asked = next((source for source in layout.sources(name) if source.ask and source.choices), None)
        if asked is None or not (choices(name) or isinstance(fact.value, Factor)):
            continue
        if fact.value not in [parse_field(name, answer) for answer in asked.choices]:
            known = ", ".join(f"{answer} ({said})" for answer, said in asked.choices.items())
            yield Mismatch(name, f"{name} is {_shown(fact.value)}; here it is {known}")


def _once(found: list[Mismatch]) -> Iterator[Mismatch]:
    """One for each field, the first; a value that is wanted counts for more than a contradiction about it."""
    seen: set[str] = set()
    for each in sorted(found, key=lambda mismatch: mismatch.wanted is None):
        if not each.field or each.field not in seen:
            seen.add(each.field)
            yield each


def _shown(value: object) -> str:
    text = plain(value)
    return str(text).lower() if isinstance(text, bool) else str(text)
