"""RoPE on neighbouring pairs, on halves, or turning the other way: the rows of q and k in another order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.ir import Position, QkNorm, RopeLayout
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Rows
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from ckpt2hf.ir import ModelSpec

_KINDS = (".attn.q.weight", ".attn.k.weight", ".attn.q.bias", ".attn.k.bias")
_NORMS = (".attn.q_norm.weight", ".attn.k_norm.weight")


def _reordered(
    spec: ModelSpec, slots: Mapping[str, Mosaic], order: NDArray[np.int64]
) -> tuple[dict[str, Mosaic], dict[str, NDArray[np.int64]]]:
    """All slots with the numbers of every query and key head in another order, and the orders of the rows."""
    norms = _NORMS if spec.qk_norm is not QkNorm.NONE else ()
    orders = {}
    for name, part in slots.items():
        if name.endswith((*_KINDS, *norms)):
            heads = part.meta.shape[0] // spec.head_dim
            orders[name] = (np.arange(heads)[:, None] * spec.head_dim + order).reshape(-1)
    after = {name: Mosaic.of(Rows(part, orders[name])) if name in orders else part for name, part in slots.items()}
    return after, orders


def _made(spec: ModelSpec, title: str, why: str, slots: Mapping[str, Mosaic], order: NDArray[np.int64]) -> Rewritten:
    after, orders = _reordered(spec, slots, order)
    return Rewritten(
        id=title,
        why=why,
        exactness=Exactness.BITWISE,
        spec=spec,
        slots=after,
        undo={name: _back(np.argsort(rows)) for name, rows in orders.items()},
    )


def _back(rows: NDArray[np.int64]) -> Callable[[Mosaic], Mosaic]:
    return lambda part: Mosaic.of(Rows(part, rows))


@dataclass(frozen=True, slots=True)
class TurnHalves:
    """Scores see only which numbers of q and k are turned together: pairs become halves, or halves pairs."""

    solves: str = "rope_layout"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same scores with the other layout."""
        if spec.position is not Position.ROPE:
            return None
        order, half = np.arange(spec.head_dim), spec.rope_dims // 2
        turned = np.arange(spec.rope_dims).reshape(half, 2).T.reshape(-1)  # evens, then odds
        pairs = spec.rope_layout is RopeLayout.PAIRS
        order[: spec.rope_dims] = turned if pairs else np.argsort(turned)
        after = RopeLayout.HALVES if pairs else RopeLayout.PAIRS
        made = _made(
            spec,
            f"RoPE from {spec.rope_layout.value} to {after.value}",
            "the numbers of each query and key head are put in another order, the same in both",
            slots,
            order,
        )
        return replace(made, spec=replace(spec, rope_layout=after))


@dataclass(frozen=True, slots=True)
class TurnForward:
    """Turning (a, b) by minus an angle is turning (b, a) by plus the angle."""

    solves: str = "rope_reversed"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same scores, turned the usual way: the partners change places."""
        if spec.position is not Position.ROPE:
            return None
        order, half = np.arange(spec.head_dim), spec.rope_dims // 2
        shape = (half, 2) if spec.rope_layout is RopeLayout.PAIRS else (2, half)
        axis = 1 if spec.rope_layout is RopeLayout.PAIRS else 0
        order[: spec.rope_dims] = np.flip(np.arange(spec.rope_dims).reshape(shape), axis).reshape(-1)
        title, why = "RoPE the other way round", "the two numbers that are turned together change places"
        made = _made(spec, title, why, slots, order)
        return replace(made, spec=replace(spec, rope_reversed=not spec.rope_reversed))
