"""What lies outside the blocks: the embedding, the positions, the output layer, the last norm."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING, TypeAlias

from ckpt2hf.dialects.draft.blocks import SHARP

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.modules import Part

ROLES = ("embed", "positions", "head")
_FIRST = 0.8
"""What it weighs that the embedding comes first in the file."""
_LARGER = 1.0
"""What it weighs that there are more words than positions."""
_PAIR = 4.0
"""What it weighs that two tables of as many rows are both about words."""
_NOT_TURNED = 3.0
"""What it weighs that a table of rows is stored as rows."""
_MATRIX = 2

Stored: TypeAlias = tuple[str, bool]
"""A role, and whether the matrix is stored the other way round, `[d_model, rows]`."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The matrices outside the blocks, with what makes vectors of each one."""

    parts: tuple[Part, ...]
    wide: int


def weigh_outside(given: Outside, words: Lexicon) -> tuple[Mapping[Stored, float], ...] | None:
    """For each matrix, the probability of each role; None if they cannot be these three."""
    found = list(_readings(given))
    if not found:
        return None
    likeness = [{role: SHARP * words.likeness(part.name, role) for role in ROLES} for part in given.parts]
    scores = [_score(reading, given.parts, likeness) for reading in found]
    highest, total = max(scores), 0.0
    shares: list[dict[Stored, float]] = [defaultdict(float) for _ in given.parts]
    for reading, score in zip(found, scores, strict=True):
        share = math.exp(score - highest)
        total += share
        for each, chosen in zip(shares, reading, strict=True):
            each[chosen] += share
    return tuple({chosen: part / total for chosen, part in each.items()} for each in shares)


def rows(part: Part, *, turned: bool) -> int:
    """The rows of a matrix outside the blocks."""
    a, b = matrix(part)
    return b if turned else a


def possible(part: Part, wide: int) -> bool:
    """Whether it could be any of the three by itself."""
    ways = product(ROLES, (False, True)) if len(matrix(part)) == _MATRIX else ()
    return any(_fits(part, way, wide) for way in ways)


def matrix(part: Part) -> tuple[int, ...]:
    """Its shape, leading axes of length one taken away."""
    shape = part.weight.shape
    while len(shape) > _MATRIX and shape[0] == 1:
        shape = shape[1:]
    return shape


def _readings(given: Outside) -> Iterator[tuple[Stored, ...]]:
    if any(len(matrix(part)) != _MATRIX for part in given.parts):
        return
    for roles in permutations(ROLES, len(given.parts)):
        for turned in product((False, True), repeat=len(given.parts)):
            reading = tuple(zip(roles, turned, strict=True))
            if "embed" in roles and all(map(_fits, given.parts, reading, [given.wide] * len(roles))):
                yield reading


def _fits(part: Part, stored: Stored, wide: int) -> bool:
    role, turned = stored
    a, b = matrix(part)
    if (a if turned else b) != wide:
        return False
    if part.made_by == "Embedding" and (role == "head" or turned):
        return False
    if part.made_by == "Linear" and (role != "head" or turned):
        return False
    if role != "head":
        return part.bias is None
    return len(part.weight.shape) == _MATRIX and (part.bias is None or part.bias.shape == (b if turned else a,))


def _score(reading: Sequence[Stored], parts: Sequence[Part], likeness: Sequence[Mapping[str, float]]) -> float:
    total = sum(each[role] for each, (role, _) in zip(likeness, reading, strict=True))
    roles = [role for role, _ in reading]
    total += _FIRST * (roles[0] == "embed")
    table = {role: rows(part, turned=turned) for part, (role, turned) in zip(parts, reading, strict=True)}
    total += _LARGER * (table["embed"] > table.get("positions", 0))
    total += _PAIR * (table.get("head") == table["embed"])
    return total + sum(_NOT_TURNED * (not turned) for _, turned in reading)
