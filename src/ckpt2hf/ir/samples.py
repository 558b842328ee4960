"""Specs that together have every slot there is, whatever fields and slots come to be known."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from ckpt2hf.ir.slots import slots
from ckpt2hf.ir.spec import FIELDS, ModelSpec
from ckpt2hf.ir.text import choices, read_field

_FIRST = 2
"""The smallest count in a sample; each following field has one more, so that no two can be taken for each other."""


@cache
def samples() -> tuple[ModelSpec, ...]:
    """Such specs, the richest first: each has a slot that those before it lack. They need not make sense."""
    base = {name: next(iter(_values(name, k))) for k, name in enumerate(FIELDS, _FIRST)}
    changes = [{name: value} for k, name in enumerate(FIELDS, _FIRST) for value in _values(name, k)]
    whole = _names(base)
    decisive = [change for change in changes if _names({**base, **change}) != whole]
    pairs = [{**one, **other} for one in decisive for other in decisive]
    known: set[str] = set()
    found = []
    for change in [{}, *changes, *pairs]:
        spec = ModelSpec(**{**base, **change})
        if not known.issuperset(slots(spec)):
            known.update(slots(spec))
            found.append(spec)
    return tuple(found)


def _names(values: dict[str, Any]) -> frozenset[str]:
    return frozenset(slots(ModelSpec(**values)))


def _values(name: str, count: int) -> list[Any]:
    """Every value of a field with a fixed set of them, else a count and none; for words, the simplest ones."""
    if fixed := choices(name):
        return list(fixed)
    found = []
    for value in (count, 0, "none", "f"):
        with suppress(ValueError):
            found.append(read_field(name, value))
    return found
