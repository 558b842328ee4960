"""Which norm or bias each vector of a block is: every way that fits the lengths, weighed by the names."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, TypeAlias

from ckpt2hf.dialects.draft.blocks import SHARP
from ckpt2hf.dialects.draft.lexicon import tokens
from ckpt2hf.dialects.draft.views import bias_length

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ckpt2hf.dialects.draft.lexicon import Lexicon
    from ckpt2hf.dialects.draft.modules import Part

_NORMS = (
    ("attn_norm", "mlp_norm"),
    (),
    ("attn_norm",),
    ("attn_norm", "attn_out_norm", "mlp_norm", "mlp_out_norm"),
)
_ORDER = 0.7
"""What it weighs that norms come in the order in which a block uses them."""
_USUAL = 4.0
"""What it weighs that attention and the MLP have norms of their own, before anything else has."""
_BESIDE = 4.0
"""What it weighs that a norm lies in the same module as what it is for."""
_CALLED = 1.0
"""What it weighs that a bias is called one."""
_MOST = 40_000

Slots: TypeAlias = tuple[tuple[str, str], ...]
"""For each vector, its part of the block, and whether it is the weight or the bias."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """The norms of a block and the biases that no name pairs with a matrix."""

    items: tuple[Part, ...]
    wide: int
    biases: Mapping[str, int]
    """Parts without a bias whose matrix could have one, and its length."""
    beside: tuple[str, ...]
    """For each vector, the norm of which sublayer it is, by what lies in the same module; empty where nothing tells."""
    head_dims: frozenset[int]
    """Lengths that a norm of queries or keys may have, besides that of a vector no other part takes."""


def weigh_vectors(given: Vectors, words: Lexicon) -> tuple[Mapping[tuple[str, str], float], ...] | None:
    """For each vector, the probability of each slot as `(part, weight or bias)`; None if there are too many ways."""
    shares: list[dict[tuple[str, str], float]] = [defaultdict(float) for _ in given.items]
    found = list(islice(_readings(given), _MOST + 1))
    if not found or len(found) > _MOST:
        return None
    likeness = [
        {role: SHARP * words.likeness(item.name, role) for role in {role for reading in found for role, _ in reading}}
        for item in given.items
    ]
    scores = [_score(reading, given.items, likeness) + _together(reading, given.beside) for reading in found]
    highest, total = max(scores), 0.0
    for reading, score in zip(found, scores, strict=True):
        share = math.exp(score - highest)
        total += share
        for each, chosen in zip(shares, reading, strict=True):
            each[chosen] += share
    return tuple({chosen: part / total for chosen, part in each.items()} for each in shares)


def _readings(given: Vectors) -> Iterator[Slots]:
    """Norms, norms of queries and keys, and the rest biases: of matrices, or of these norms."""
    biases = [(role, "bias") for role in given.biases]
    for norms, more, biased in product(_NORMS, ((), ("q_norm", "k_norm")), (False, True)):
        must = [(role, "weight") for role in (*norms, *more)]
        must += [(role, "bias") for role in norms] if biased else []
        if (norms or not biased) and len(must) <= len(given.items) <= len(must) + len(biases):
            yield from _fill(given, must, biases, ())


def _fill(given: Vectors, must: list[tuple[str, str]], may: list[tuple[str, str]], chosen: Slots) -> Iterator[Slots]:
    """Every way to give the next vectors what must be given, and what may be."""
    if len(chosen) == len(given.items):
        yield chosen
        return
    item, left = given.items[len(chosen)], len(given.items) - len(chosen)
    for pool, rest, others in ((must, must, may), (may, may, must)):
        if pool is may and len(must) >= left:
            continue
        for slot in pool:
            if _fits(item, slot, given):
                less = [other for other in rest if other != slot]
                both = (less, others) if pool is must else (others, less)
                yield from _fill(given, *both, (*chosen, slot))


def _fits(item: Part, chosen: tuple[str, str], given: Vectors) -> bool:
    role, leaf = chosen
    length = bias_length(item.weight)
    if leaf == "bias" and (item.bias is not None or item.made_by):
        return False
    if item.weight.module is not None and not item.weight.pattern.endswith(f".{leaf}"):
        return False
    if role in {"q_norm", "k_norm"}:
        return item.bias is None and length in given.head_dims
    if leaf == "bias" and role in given.biases:
        return length == given.biases[role]
    return length == given.wide and len(item.weight.shape) == 1


def _together(reading: Slots, beside: Sequence[str]) -> float:
    """What it weighs that a norm lies in one module with the attention, or with the MLP, that it belongs to."""
    return sum(_BESIDE for (role, _), sublayer in zip(reading, beside, strict=True) if sublayer and role == sublayer)


def _score(reading: Slots, items: Sequence[Part], likeness: Sequence[Mapping[str, float]]) -> float:
    total = sum(each[role] for each, (role, _) in zip(likeness, reading, strict=True))
    total += _USUAL * any(role == "mlp_norm" for role, _ in reading)
    norms = [role for role, leaf in reading if role.endswith("norm") and leaf == "weight" and role[1] != "_"]
    total += _ORDER * any(norms == list(form) for form in _NORMS if form)
    for item, (_, leaf) in zip(items, reading, strict=True):
        called = item.weight.pattern.endswith("bias") or any(word[0] == "b" for word in tokens(item.name))
        total += _CALLED * (called == (leaf == "bias"))
    return total
