"""What is wrong about the facts of a layout as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.problem import Problem
from ckpt2hf.ir import FIELDS, parse_field
from ckpt2hf.naming import near

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ckpt2hf.dialects.fact_source import FactSource


def fact_problems(
    facts: Mapping[str, Sequence[FactSource]], hidden: Sequence[str], family: Collection[str]
) -> Iterator[Problem]:
    """Facts that are missing or do not exist, and values that a fact cannot have; paths start at the layout.

    `family` are the facts that need not be named.
    """
    for name in FIELDS:
        if name not in facts and name not in family:
            yield Problem(("facts", name), f"nothing says where {name} comes from")
    for name in facts:
        if name not in FIELDS:
            yield Problem(("facts", name), f"there is no fact {name}{near(name, FIELDS)}")
    for k, name in enumerate(hidden):
        if name not in FIELDS:
            yield Problem(("hidden", k), f"there is no fact {name}{near(name, FIELDS)}")
    for name in FIELDS:
        for k, source in enumerate(facts.get(name, ())):
            yield from (problem.below("facts", name, k) for problem in _impossible(name, source))


def _impossible(name: str, source: FactSource) -> Iterator[Problem]:
    """Answers that the fact does not take, wherever a source gives them."""
    answers: list[tuple[tuple[str, ...], object]] = [(("choices", choice), choice) for choice in source.choices]
    answers += [(("map", found), value) for found, value in source.map.items()]
    answers += [(("const",), source.const)] if source.const is not None else []
    for path, value in answers:
        try:
            parse_field(name, value)
        except ValueError as error:
            yield Problem(path, str(error))
