"""The ways in which a stored tensor can be a matrix `[out, in]` of one layer, and what has to be done to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt2hf.dialects.draft.parts import Kind

ATTENTION = frozenset({"q", "k", "v"})
_TRANSPOSE = "{ transpose = true }"
_JOIN = '{ join = "head_dim" }'
_SIDE_BY_SIDE = '{ join = "head_dim", axis = 1 }'
_MATRIX, _STACK = 2, 3
FUSED = {"qkv": ("q", "k", "v"), "kv": ("k", "v"), "gate_up": ("gate", "up")}
"""Parts that one matrix can hold, and the slots they are."""
_LENGTHS = {
    "qkv": ("inner", "inner", "inner"),
    "kv": ("kv_inner", "kv_inner"),
    "gate_up": ("d_ff", "d_ff"),
}
GROUPED = ("inner", "kv_inner", "kv_inner")
"""Lengths of a fused matrix with fewer heads of keys than of queries."""


@dataclass(frozen=True, slots=True)
class View:
    """A tensor seen as a matrix."""

    rows: int
    columns: int
    ops: tuple[str, ...]
    turned: bool | None
    """Whether it is stored `[in, out]`; None where the lengths of its axes show which is which."""
    apart: bool = False
    """Whether the ops have already taken it apart into q, k and v, or gate and up."""

    def ops_for(self, role: str, inner: int) -> tuple[str, ...]:
        """What makes the slots of this part of it."""
        if role not in FUSED or self.apart:
            return self.ops
        lengths = GROUPED if role == "qkv" and self.rows != 3 * inner else _LENGTHS[role]
        return (*self.ops, split(lengths))


def split(lengths: tuple[str, ...], axis: int = 0) -> str:
    """The op that cuts one tensor into these lengths."""
    words = ", ".join(f'"{word}"' for word in lengths)
    return f"{{ split = [{words}] }}" if not axis else f"{{ split = [{words}], axis = {axis} }}"


def views(kind: Kind, role: str, wide: int) -> tuple[View, ...]:
    """Every way to see the tensors of a kind as this part of a block, `wide` being the width of the model."""
    shape = kind.shape
    while len(shape) > _MATRIX and shape[0] == 1:
        shape = shape[1:]
    taken = ("{ squeeze = 0 }",) * (len(kind.shape) - len(shape))
    if len(shape) == _MATRIX:
        found = _one_per_head(shape, role, kind.copies) if "h" in kind.variables else _matrix(shape)
    elif len(shape) == _STACK and not kind.variables[1:]:
        found = (*_apart(shape, role), *_by_heads(shape, role, wide))
    else:
        return ()
    return tuple(View(v.rows, v.columns, (*taken, *v.ops), v.turned, v.apart) for v in found)


def _matrix(shape: tuple[int, ...]) -> tuple[View, ...]:
    rows, columns = shape
    return View(rows, columns, (), turned=False), View(columns, rows, (_TRANSPOSE,), turned=True)


def _one_per_head(shape: tuple[int, ...], role: str, heads: int) -> tuple[View, ...]:
    """A module for each head: rows for q, k and v, columns for the projection after them."""
    a, b = shape
    if role in ATTENTION:
        return (
            View(a * heads, b, (_JOIN,), turned=False),
            View(b * heads, a, (_TRANSPOSE, _JOIN), turned=True),
        )
    if role == "out":
        return (
            View(a, b * heads, (_SIDE_BY_SIDE,), turned=False),
            View(b, a * heads, (_TRANSPOSE, _SIDE_BY_SIDE), turned=True),
        )
    return ()


def _apart(shape: tuple[int, ...], role: str) -> tuple[View, ...]:
    """A stack of q, k and v, or of gate and up: `[3, out, in]`."""
    members = FUSED.get(role, ())
    if len(members) != shape[0]:
        return ()
    ops = (split(("one",) * shape[0]), "{ squeeze = 0 }")
    return (
        View(shape[0] * shape[1], shape[2], ops, turned=False, apart=True),
        View(shape[0] * shape[2], shape[1], (*ops, _TRANSPOSE), turned=True, apart=True),
    )


def _by_heads(shape: tuple[int, ...], role: str, wide: int) -> tuple[View, ...]:
    """One axis for the heads, one for the width of a head, and one for the width of the model."""
    if role not in ATTENTION | {"out"}:
        return ()
    found = []
    word = "kv_heads" if role in {"k", "v"} else "heads"
    for axis in (a for a, length in enumerate(shape) if length == wide):
        heads, head_dim = (length for a, length in enumerate(shape) if a != axis)
        apart: tuple[str, ...] = (f'{{ unstack = "{word}" }}',)
        if axis == 0:  # [d_model, heads, head_dim]: cut along the heads
            apart = (split(("one",) * heads, axis=1), "{ squeeze = 1 }")
        upright = axis == _MATRIX  # what is left of each head is [head_dim, d_model]
        inner = heads * head_dim
        if role != "out":
            found.append(View(inner, wide, (*apart, *(() if upright else (_TRANSPOSE,)), _JOIN), None))
        elif upright:
            found.append(View(wide, inner, (*apart, _JOIN, _TRANSPOSE), None))
        else:
            found.append(View(wide, inner, (*apart, _SIDE_BY_SIDE), None))
    return tuple(found)


def bias_length(kind: Kind) -> int:
    """The numbers of a bias in one layer."""
    return math.prod(kind.shape) * kind.copies


def bias_ops(kind: Kind, role: str, inner: int) -> tuple[str, ...]:
    """What makes the biases of the slots of a part of it: one, or those of q, k and v."""
    shape = kind.shape
    if "h" in kind.variables:
        return (_JOIN,)
    if len(shape) == _MATRIX and role in FUSED and shape[0] == len(FUSED[role]):
        return split(("one",) * shape[0]), "{ squeeze = 0 }"
    if len(shape) == _MATRIX:
        return f'{{ unstack = "{"kv_heads" if role in {"k", "v"} else "heads"}" }}', _JOIN
    if role not in FUSED:
        return ()
    return (split(GROUPED if role == "qkv" and bias_length(kind) != 3 * inner else _LENGTHS[role]),)
