"""Tensors that are no weights: masks, positions and tables of RoPE, recognised by their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.dialects.draft.parts import Kind
    from ckpt2hf.tensors import Array, Stored

_CORNER = 64
"""Rows and columns that are looked at: a buffer is proved as a whole when the checkpoint is converted."""
_MATRIX = 2
_MASKED = -1e4
_NEAR = 1e-3
"""How far numbers of a table may lie from what they should be, to be taken for it."""
_ROUND = (1e4, 1e5, 5e5, 1e6, 1e7)
"""The bases of RoPE's frequencies that codebases use."""


def expectation(kind: Kind, tensors: Mapping[str, Stored]) -> str | None:
    """What the tensors of a kind can be left out as; None for weights."""
    ref = tensors[kind.names[0]]
    found = ref.read(tuple(slice(0, min(n, _CORNER)) for n in ref.meta.shape)).squeeze()
    if not found.size:
        return None
    if np.iscomplexobj(found):
        return "rope_angles" if found.ndim == _MATRIX and np.allclose(np.abs(found), 1, atol=_NEAR) else None
    numbers = found.astype(np.float64)
    if found.ndim == 0:
        return "masked_score" if numbers <= _MASKED else None
    if found.ndim == 1:
        return _row(numbers)
    shape = [n for n in ref.meta.shape if n != 1]
    if found.ndim > _MATRIX:
        return None
    return _mask(numbers) if shape[0] == shape[1] else _table(numbers)


def _mask(square: Array) -> str | None:
    seen = np.tri(len(square), dtype=np.bool_)
    above = square[~seen]
    if len(square) < _MATRIX:
        return None
    if np.array_equal(square, seen):
        return "causal_mask"
    if np.array_equal(square, ~seen):
        return "future_mask"
    return "additive_mask" if not square[seen].any() and (above <= _MASKED).all() else None


def _table(table: Array) -> str | None:
    """Cosines begin with a row of ones, sines with a row of zeros, and the first column turns by one a step."""
    if len(table) < _MATRIX or np.abs(table).max() > 1 + _NEAR:
        return None
    steps = np.arange(len(table))
    if np.allclose(table[0], 1, atol=_NEAR) and np.allclose(table[:, 0], np.cos(steps), atol=_NEAR):
        return "rope_cosines"
    if np.allclose(table[0], 0, atol=_NEAR) and np.allclose(table[:, 0], np.sin(steps), atol=_NEAR):
        return "rope_sines"
    return None


def _row(row: Array) -> str | None:
    if len(row) > _MATRIX and np.array_equal(row, np.arange(len(row))):
        return "position_ids"
    if len(row) > _MATRIX and abs(row[0] - 1) < _NEAR and (row > 0).all():
        ratios = row[1:] / row[:-1]
        return "rope_frequencies" if ratios[0] < 1 - _NEAR and np.allclose(ratios, ratios[0], rtol=_NEAR) else None
    return None


def rope_base(kind: Kind, expect: str, tensors: Mapping[str, Stored]) -> tuple[int, float | None]:
    """The width of a head and the base of the frequencies that a table of RoPE shows; None for an unusual base."""
    angles = _angles(tensors[kind.names[0]], expect)
    half = len(angles) // 2
    neighbours = half > 0 and np.allclose(angles[0::2], angles[1::2]) if not len(angles) % 2 else False
    doubled = neighbours or (half > 0 and np.allclose(angles[:half], angles[-half:]))
    pairs = half if doubled else len(angles)
    step = angles[2 if neighbours else 1] if pairs > 1 else 1.0
    for base in _ROUND:
        if pairs > 1 and np.isclose(step, base ** (-1 / pairs), rtol=_NEAR):
            return 2 * pairs, base
    return 2 * pairs, None


def _angles(ref: Stored, expect: str) -> Array:
    """By how much each pair turns from one position to the next."""
    rows = len([n for n in ref.meta.shape if n != 1]) > 1
    longest = next(axis for axis, n in enumerate(ref.meta.shape) if n != 1) if rows else -1
    part = tuple(slice(1, 2) if axis == longest else slice(0, n) for axis, n in enumerate(ref.meta.shape))
    row = ref.read(part).reshape(-1)
    if expect == "rope_angles":
        return np.asarray(np.angle(row))
    numbers = row.astype(np.float64)
    if expect == "rope_frequencies":
        return numbers
    inverse = np.arccos if expect == "rope_cosines" else np.arcsin
    return np.asarray(inverse(np.clip(numbers, -1, 1)))
