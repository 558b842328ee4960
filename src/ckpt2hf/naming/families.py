"""Every slot a model can have, as patterns: what a rule may give."""

from __future__ import annotations

import re
from functools import cache

from ckpt2hf.ir import slots
from ckpt2hf.ir.samples import samples
from ckpt2hf.naming.linking import values_of
from ckpt2hf.naming.patterns import VARIABLES, Pattern, pattern, stem

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


@cache
def slot_families() -> tuple[Pattern, ...]:
    """Patterns such as `layers.{i}.attn.q.weight`, in the order of a forward pass as far as there is one."""
    highest: dict[str, list[int]] = {}
    made: dict[str, Pattern] = {}
    for spec in samples():
        counts = {len(values_of(variable, spec)): variable for variable in VARIABLES if variable != "L"}
        highest.clear()
        for slot in slots(spec):
            numbers = [int(number) for number in _NUMBER.findall(slot)]
            before = highest.setdefault(stem(slot), numbers)
            highest[stem(slot)] = [max(pair) for pair in zip(before, numbers, strict=True)]
        for text, ends in highest.items():
            parts = text.split("*")
            fields = [f"{{{counts[end + 1]}}}" for end in ends]
            made.setdefault(text, pattern("".join(a + b for a, b in zip(parts, [*fields, ""], strict=True))))
    return tuple(made.values())


@cache
def is_slot(slot: Pattern) -> bool:
    """Whether it is a family of slots, or some of one."""
    if slot.variables:
        return str(slot) in map(str, slot_families())
    return any(family.match(str(slot)) is not None for family in slot_families())
