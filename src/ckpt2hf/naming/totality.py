"""Total or nothing: every tensor used once, tied, or dropped with a proof; every slot given once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from ckpt2hf.errors import MappingError
from ckpt2hf.ir import slots
from ckpt2hf.naming.linking import link
from ckpt2hf.naming.patterns import collapse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.naming.linking import Link
    from ckpt2hf.naming.rules import Expectation, Naming
    from ckpt2hf.tensors import Meta

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where every tensor of a checkpoint goes. Nothing is left over on either side."""

    links: tuple[Link, ...]
    stand_ins: Mapping[str, str]
    """Names a link takes that the file lacks, and the tied name that stands in for each."""
    ties: Mapping[str, str]
    """Second names present in the file, and the name each must be equal to."""
    drops: Mapping[str, Expectation]

    def taken(self, given: Mapping[str, T]) -> dict[str, T]:
        """Out of what is there by name, what the links take: what stands in for it where the name itself is absent."""
        return {name: given[self.stand_ins.get(name, name)] for made in self.links for name in made.names}


def assign(naming: Naming, spec: ModelSpec, metas: Mapping[str, Meta]) -> Assignment:
    """The place of every tensor. Raises MappingError with all that does not fit, in one error."""
    links = link(naming, spec)
    taken = {name for made in links for name in made.names}
    stand_ins, ties, drops = {}, {}, {}
    for name in metas:
        if name in taken:
            continue
        twin = _twin(naming, name)
        if twin and twin in metas:
            ties[name] = twin
        elif twin and twin in taken:
            stand_ins[twin] = name
        elif expectation := _expectation(naming, name):
            drops[name] = expectation
    placed = taken | ties.keys() | drops.keys() | set(stand_ins.values())
    unmapped = [name for name in metas if name not in placed]
    missing = [name for name in sorted(taken) if name not in metas and name not in stand_ins]
    slotless = [slot for slot in slots(spec) if slot not in {s for made in links for s in made.slots}]
    problems = _misfits(links, spec, {**metas, **{k: metas[v] for k, v in stand_ins.items()}})
    if unmapped or missing or slotless or problems:
        raise MappingError(
            _headline(unmapped, [*missing, *slotless], problems),
            details=[
                *(f"unmapped  {name}{_shape(name, metas)}" for name in collapse(unmapped)),
                *(f"missing   {name}{_hint(name, unmapped)}" for name in collapse(missing)),
                *(f"missing   slot {slot}" for slot in collapse(slotless)),
                *problems,
            ],
        )
    return Assignment(links, stand_ins, ties, drops)


def _twin(naming: Naming, name: str) -> str | None:
    for tie in naming.ties:
        if (values := tie.name.match(name)) is not None:
            return tie.same_as.format(values)
    return None


def _expectation(naming: Naming, name: str) -> Expectation | None:
    return next((drop.expect for drop in naming.drops if drop.name.match(name) is not None), None)


def _misfits(links: tuple[Link, ...], spec: ModelSpec, metas: Mapping[str, Meta]) -> list[str]:
    wanted, found = slots(spec), []
    for made in links:
        if any(name not in metas for name in made.names):
            continue
        given = [metas[name] for name in made.names]
        kinds = ", ".join(sorted({meta.dtype.torch_name for meta in given if not meta.dtype.is_float}))
        if kinds:
            found.append(f"type      {collapse(made.names)[0]} is {kinds}; weights are floating-point")
            continue
        try:
            shapes = [meta.shape for meta in made.infer(given)]
        except MappingError as error:
            found.append(f"shape     {collapse(made.names)[0]}: {error.what}")
            continue
        found += [
            f"shape     {collapse(made.names)[0]} gives {slot} {list(shape)}, the model needs {list(wanted[slot])}"
            for slot, shape in zip(made.slots, shapes, strict=True)
            if shape != wanted[slot]
        ]
    return found


def _headline(unmapped: list[str], missing: list[str], problems: list[str]) -> str:
    counts = (
        (len(unmapped), "tensors have no rule"),
        (len(missing), "tensors are missing"),
        (len(problems), "tensors do not fit"),
    )
    return ", ".join(f"{count} {what}" for count, what in counts if count)


def _shape(name: str, metas: Mapping[str, Meta]) -> str:
    return f"  {metas[name]}" if name in metas else ""


def _hint(name: str, unmapped: list[str]) -> str:
    close = difflib.get_close_matches(name, unmapped, n=1, cutoff=0.8)
    return f"  (did you mean {close[0]}?)" if close else ""
