"""Which part of a block each matrix is: every way that fits the shapes, weighed by the names."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, TypeAlias

from ckpt2hf.dialects.draft.lexicon import BESIDE_GATE
from ckpt2hf.dialects.draft.views import View, bias_length, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.modules import Part

SHARP = 12.0
"""How much a name weighs: a part that is called exactly as others call it outweighs one that is not by e**12."""
ORDER = 0.7
"""What it weighs that q comes before k and v in the file: a hint, which must never decide."""
_USUAL = 3.0
"""What it weighs that the matrix of a module is stored [out, in], as that of nn.Linear, not as that of Conv1D."""
_LENGTHS = 3.0
"""What it weighs that a length, or the way of fusing, is the one that nearly all models have."""
_MOST = 60_000
"""Readings that are looked at; a block that has more says nothing."""

_ATTENTION = (("q", "k", "v", "out"), ("qkv", "out"), ("q", "kv", "out"))
_MLP = (("up", "down"), ("gate", "up", "down"), ("gate_up", "down"))
ROLES = ("q", "k", "v", "qkv", "kv", "out", "gate", "up", "gate_up", "down", "router")
_OF_HEADS = frozenset({"q", "k", "v", "out"})
_OF_EXPERTS = frozenset({"gate", "up", "gate_up", "down"})

Reading: TypeAlias = tuple[tuple[str, View], ...]
"""For each matrix of a block, in order, its role and how it is stored."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the readings say together."""

    best: Reading
    shares: tuple[Mapping[tuple[str, View], float], ...]
    """For each matrix, the probability of each role with each way of storing it."""

    @property
    def inner(self) -> int:
        """The width of all query heads together, as the best reading has it."""
        return next((view.columns for role, view in self.best if role == "out"), 0)


def weigh(matrices: Sequence[Part], wide: int, words: Lexicon) -> Weighed | None:
    """The readings of the matrices of a block; None if the shapes allow none, or too many."""
    if not matrices:
        return None
    likeness = [{role: SHARP * words.likeness(part.name, role) for role in (*ROLES, BESIDE_GATE)} for part in matrices]
    # The parts of attention, and those of an MLP, have biases together; unless some are stored under other names.
    found = list(islice((r for r in _readings(matrices, wide) if _alike(r, matrices)), _MOST + 1))
    found = found or list(islice(_readings(matrices, wide), _MOST + 1))
    if not found or len(found) > _MOST:
        return None
    scores = [_score(reading, matrices, likeness) + _plausible(reading, wide) for reading in found]
    highest = max(scores)
    total = 0.0
    shares: list[dict[tuple[str, View], float]] = [defaultdict(float) for _ in matrices]
    for reading, score in zip(found, scores, strict=True):
        share = math.exp(score - highest)
        total += share
        for each, chosen in zip(shares, reading, strict=True):
            each[chosen] += share
    best = found[scores.index(highest)]
    return Weighed(best, tuple({chosen: part / total for chosen, part in each.items()} for each in shares))


def _readings(matrices: Sequence[Part], wide: int) -> Iterator[Reading]:
    styles = sorted({part.style for part in matrices})
    for attention, mlp, router in product(_ATTENTION, _MLP, ((), ("router",))):
        roles = (*attention, *mlp, *router)
        if len(roles) != len(matrices) or bool(router) != any("e" in part.weight.variables for part in matrices):
            continue
        for turned in product((False, True), repeat=len(styles)):
            sides = dict(zip(styles, turned, strict=True))
            yield from _assign(matrices, roles, sides, wide, ())


def _assign(
    matrices: Sequence[Part], roles: tuple[str, ...], sides: Mapping[str, bool], wide: int, chosen: Reading
) -> Iterator[Reading]:
    if len(chosen) == len(matrices):
        if _agrees(chosen, wide):
            yield chosen
        return
    part = matrices[len(chosen)]
    for role in dict.fromkeys(roles):
        rest = list(roles)
        rest.remove(role)
        for view in fitting(part, role, wide):
            if view.turned in {None, sides[part.style]}:
                yield from _assign(matrices, tuple(rest), sides, wide, (*chosen, (role, view)))


def fitting(part: Part, role: str, wide: int) -> tuple[View, ...]:
    """The ways to see a matrix as this part of a block, as far as one can tell without the others."""
    if ("h" in part.weight.variables and role not in _OF_HEADS) or (
        "e" in part.weight.variables and role not in _OF_EXPERTS
    ):
        return ()
    found = []
    for view in views(part.weight, role, wide):
        width = view.rows if role in {"out", "down"} else view.columns
        if part.bias is not None and bias_length(part.bias) not in {view.rows, view.rows // part.weight.copies}:
            continue
        if part.made_by == "Linear" and view.turned:
            continue
        if width == wide:
            found.append(view)
    return tuple(found)


def _agrees(chosen: Reading, wide: int) -> bool:
    """Whether the parts have the lengths they must have together."""
    at = dict(chosen)
    inner = at["out"].columns
    keys = {at[role].rows for role in ("k", "v") if role in at}
    keys |= {at["kv"].rows // 2} if "kv" in at else set()
    if "qkv" in at:
        rest = at["qkv"].rows - inner
        keys.add(rest // 2)
        if rest <= 0 or rest % 2:
            return False
    elif at["q"].rows != inner:
        return False
    ff = {at["down"].columns}
    ff |= {at[role].rows for role in ("gate", "up") if role in at}
    ff |= {at["gate_up"].rows // 2} if "gate_up" in at else set()
    return len(keys) == 1 and len(ff) == 1 and 0 < (key := keys.pop()) <= inner and inner % key == 0 and wide > 0


def _alike(chosen: Reading, matrices: Sequence[Part]) -> bool:
    """Whether q, k and v have biases, or none of them; and the same of the matrices of the MLP."""
    biased = {role: part.bias is not None for part, (role, _) in zip(matrices, chosen, strict=True)}
    groups = (("q", "k", "v", "kv"), ("up", "down", "gate", "gate_up"))
    return all(len({biased[role] for role in group if role in biased}) == 1 for group in groups if group[0] in biased)


def _plausible(reading: Reading, wide: int) -> float:
    """What a reading weighs by its lengths: most models have heads as wide together as the model, and a wider MLP."""
    at = dict(reading)
    inner, ff = at["out"].columns, at["down"].columns
    return _LENGTHS * ((inner == wide) + (ff > wide)) - _LENGTHS * ("kv" in at)


def _score(reading: Reading, matrices: Sequence[Part], likeness: Sequence[Mapping[str, float]]) -> float:
    gated = any(role == "gate" for role, _ in reading)
    called = [BESIDE_GATE if gated and role == "up" else role for role, _ in reading]
    total = sum(each[role] for each, role in zip(likeness, called, strict=True))
    order = [role for role, _ in reading if role in {"q", "k", "v"}]
    total += ORDER * (order == ["q", "k", "v"])
    sides = {(part.style, view.turned) for part, (_, view) in zip(matrices, reading, strict=True)}
    return total + _USUAL * (("module", False) in sides)
