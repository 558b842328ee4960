"""From a Hugging Face directory and a training code's dialect to a plan, or to one error with everything in the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.dialects import express
from ckpt2hf.errors import FactsError, UnsupportedError
from ckpt2hf.ir import FIELDS, ModelSpec, plain
from ckpt2hf.plan.directory import understood
from ckpt2hf.plan.plan import BackPlan
from ckpt2hf.rewrites import TURNS, without_zero_biases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.dialects import Dialect, Expressed, Fact, Layout
    from ckpt2hf.plan.directory import Understood
    from ckpt2hf.rewrites import Rewritten

_LAST_TURN = 32
"""Turns that are tried; each solves a field, so that far fewer do."""


@dataclass(frozen=True, slots=True)
class _Turned:
    """A model turned towards a layout, as far as it goes."""

    layout: Layout
    rewrites: tuple[Rewritten, ...]
    expressed: Expressed


def make_back_plan(checkpoint: Checkpoint, dialect: Dialect, layout: str | None, said: Mapping[str, Fact]) -> BackPlan:
    """The whole way, on metadata and vectors. `checkpoint` is the directory's weight file, names as they are.

    `layout` is part of a title and chooses a generation of the code; `said` are the user's facts about the code. Raises
    FactsError, MappingError, UnsupportedError.
    """
    model = understood(checkpoint, {name: fact.value for name, fact in said.items()})
    layouts = _chosen(dialect, layout, str(checkpoint.path))
    tried = [_turned(dialect, each, model, said) for each in layouts]
    fitting = [each for each in tried if not each.expressed.mismatches]
    if not fitting:
        raise _inexpressible(dialect, tried, model)
    if len(fitting) > 1:
        raise _several(dialect, fitting, str(checkpoint.path))
    (found,) = fitting
    file = found.expressed.file
    if file is None:
        raise TypeError("a layout that fits has made no file")
    notes = [
        f"the code has to have {name} = {_shown(fact.value)}: the checkpoint does not show it"
        for name, fact in found.expressed.answers.items()
    ]
    return BackPlan(
        checkpoint=model.checkpoint,
        spec=model.spec,
        assignment=model.assignment,
        sources=model.sources,
        slots=model.slots,
        rewrites=found.rewrites,
        links=file.links,
        tensors=file.tensors,
        dtype=None,
        notes=tuple(notes),
        target=model.target,
        facts=model.facts,
        dialect=dialect,
        layout=found.layout,
        file=file,
        answers=found.expressed.answers,
    )


def _chosen(dialect: Dialect, layout: str | None, where: str) -> list[Layout]:
    """The generations of the code that come into question. Raises UnsupportedError, FactsError."""
    alive = [each for each in dialect.layout if each.refuse is None]
    if not alive:
        told = [each.refuse or "" for each in dialect.layout]
        raise UnsupportedError(f"{dialect.title} has no counterpart among the classes", details=told, where=where)
    if layout is None:
        return alive
    found = [each for each in alive if layout.lower() in each.title.lower()]
    if not found:
        titles = [each.title for each in alive]
        raise FactsError(f"dialect {dialect.name} has no layout {layout!r}", details=titles, where=where)
    return found


def _turned(dialect: Dialect, layout: Layout, model: Understood, said: Mapping[str, Fact]) -> _Turned:
    """The model turned towards a layout: without biases of zero if the code can do without them, else with them."""
    without = without_zero_biases(model.spec, model.slots)
    starts: list[tuple[Rewritten, ...]] = [without, ()] if without else [()]
    kept = {name for name, fact in said.items() if fact.value is True}
    tried = [
        _solved(dialect, layout, model, start, said)
        for start in starts
        if not start or not any(getattr(model.spec, name) and not getattr(start[-1].spec, name) for name in kept)
    ]
    return min(tried, key=lambda each: len(each.expressed.mismatches))


def _solved(
    dialect: Dialect, layout: Layout, model: Understood, start: Sequence[Rewritten], said: Mapping[str, Fact]
) -> _Turned:
    """Identities applied until the layout can say the model, or none helps any more."""
    made, solved = list(start), {spec_field for each in start for spec_field in _changed(model.spec, each.spec)}
    while True:
        spec, slots = (made[-1].spec, made[-1].slots) if made else (model.spec, model.slots)
        expressed = express(dialect, layout, spec, slots, said)
        steps = (
            (mismatch.field, after)
            for mismatch in expressed.mismatches
            if mismatch.field not in solved and mismatch.wanted is not None
            for turn in TURNS
            if turn.solves == mismatch.field and (after := turn.apply(spec, slots, mismatch.wanted))
        )
        step = next(steps, None)
        if step is None or len(made) > _LAST_TURN:
            return _Turned(layout, tuple(made), expressed)
        solved.add(step[0])
        made.append(step[1])


def _changed(one: ModelSpec, other: ModelSpec) -> list[str]:
    return [name for name in FIELDS if getattr(one, name) != getattr(other, name)]


def _inexpressible(dialect: Dialect, tried: Sequence[_Turned], model: Understood) -> UnsupportedError:
    """Why no generation of the code can hold the model."""
    details = []
    for each in tried:
        details.append(f"{each.layout.title}")
        details += [f"  {mismatch.message}" for mismatch in each.expressed.mismatches]
    return UnsupportedError(
        f"{dialect.title} cannot hold this {model.target.hf_class}",
        details=details,
        where=str(model.checkpoint.path),
        remedies=["another --to-dialect, or a dialect file of your own that describes your code"],
    )


def _several(dialect: Dialect, fitting: Sequence[_Turned], where: str) -> FactsError:
    """More than one generation of the code could load it."""
    titles = [each.layout.title for each in fitting]
    return FactsError(
        f"{len(fitting)} layouts of {dialect.title} can hold this model",
        details=titles,
        where=where,
        remedies=[f"--to-layout '{title}'" for title in titles],
    )


def _shown(value: object) -> str:
    text = plain(value)
    return str(text).lower() if isinstance(text, bool) else str(text)
