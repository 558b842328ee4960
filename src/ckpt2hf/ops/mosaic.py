"""A mosaic: a tensor put together from boxes of other tensors, none of them copied until somebody reads.

Every rearrangement a converter needs (transpose, split, concatenate, add or remove an axis of length one) turns a
mosaic into a mosaic by arithmetic on boxes alone. Reading a box of the result copies just that box, so a tensor of any
size is produced in bounded memory, and splitting what was concatenated costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from ckpt2hf.errors import MappingError
from ckpt2hf.tensors import Array, Box, Meta, Readable

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """A box of a leaf, shown at a place of the mosaic with its axes reordered."""

    leaf: Readable
    window: tuple[tuple[int, int], ...]
    """Which part of the leaf: `(start, stop)` per leaf axis."""
    axes: tuple[int | None, ...]
    """Per mosaic axis the leaf axis it shows, or None for an added axis of length one."""
    at: tuple[int, ...]
    """Where the piece starts, per mosaic axis."""

    def length(self, axis: int) -> int:
        """Extent along a mosaic axis."""
        source = self.axes[axis]
        if source is None:
            return 1
        start, stop = self.window[source]
        return stop - start

    def clip(self, axis: int, start: int, stop: int) -> Piece | None:
        """The part that lies in `[start, stop)` of a mosaic axis, placed relative to `start`; None if nothing does."""
        low, high = max(start, self.at[axis]), min(stop, self.at[axis] + self.length(axis))
        if low >= high:
            return None
        window, source = list(self.window), self.axes[axis]
        if source is not None:
            first = self.window[source][0] - self.at[axis]
            window[source] = (first + low, first + high)
        at = list(self.at)
        at[axis] = low - start
        return replace(self, window=tuple(window), at=tuple(at))

    def read(self) -> Array:
        """The elements, in the mosaic's order of axes. May be a view."""
        part = self.leaf.read(tuple(slice(start, stop) for start, stop in self.window))
        shown = [axis for axis in self.axes if axis is not None]
        hidden = tuple(axis for axis in range(part.ndim) if axis not in shown)
        part = part.transpose([*shown, *hidden]).squeeze(tuple(range(len(shown), part.ndim)))
        added = [axis for axis, source in enumerate(self.axes) if source is None]
        return np.expand_dims(part, added) if added else part


@dataclass(frozen=True, slots=True)
class Mosaic:
    """A tensor assembled from pieces that cover it without overlap. It is `Readable`."""

    meta: Meta
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, leaf: Readable) -> Mosaic:
        """The whole of one tensor."""
        if isinstance(leaf, Mosaic):
            return leaf
        window = tuple((0, n) for n in leaf.meta.shape)
        return cls(leaf.meta, (Piece(leaf, window, tuple(range(len(window))), (0,) * len(window)),))

    @classmethod
    def concat(cls, parts: Sequence[Mosaic], axis: int) -> Mosaic:
        """Parts of one type laid one after another along an axis. Raises MappingError when the types differ."""
        kinds = {part.meta.dtype for part in parts}
        if len(kinds) > 1:
            names = ", ".join(sorted(kind.torch_name for kind in kinds))
            raise MappingError(f"tensors of different types cannot be joined: {names}")
        pieces, end = [], 0
        for part in parts:
            for piece in part.pieces:
                at = (*piece.at[:axis], piece.at[axis] + end, *piece.at[axis + 1 :])
                pieces.append(replace(piece, at=at))
            end += part.meta.shape[axis]
        first = parts[0].meta
        return cls(Meta((*first.shape[:axis], end, *first.shape[axis + 1 :]), first.dtype), tuple(pieces))

    def cut(self, axis: int, start: int, stop: int) -> Mosaic:
        """The part that lies in `[start, stop)` of an axis."""
        shape = (*self.meta.shape[:axis], stop - start, *self.meta.shape[axis + 1 :])
        clipped = (piece.clip(axis, start, stop) for piece in self.pieces)
        return Mosaic(Meta(shape, self.meta.dtype), tuple(piece for piece in clipped if piece))

    def permute(self, order: Sequence[int]) -> Mosaic:
        """The axes in another order: axis k of the result is axis `order[k]` of this one."""
        pieces = tuple(
            replace(piece, axes=tuple(piece.axes[k] for k in order), at=tuple(piece.at[k] for k in order))
            for piece in self.pieces
        )
        return Mosaic(Meta(tuple(self.meta.shape[k] for k in order), self.meta.dtype), pieces)

    def unsqueeze(self, axis: int) -> Mosaic:
        """With an axis of length one added before `axis`."""
        pieces = tuple(
            replace(piece, axes=_inserted(piece.axes, axis, None), at=_inserted(piece.at, axis, 0))
            for piece in self.pieces
        )
        return Mosaic(Meta(_inserted(self.meta.shape, axis, 1), self.meta.dtype), pieces)

    def squeeze(self, axis: int) -> Mosaic:
        """Without an axis of length one."""
        pieces = tuple(
            replace(piece, axes=_without(piece.axes, axis), at=_without(piece.at, axis)) for piece in self.pieces
        )
        return Mosaic(Meta(_without(self.meta.shape, axis), self.meta.dtype), pieces)

    def read(self, box: Box) -> Array:
        """The elements of a box. A view when one piece covers it, else a fresh array."""
        shape = tuple(part.stop - part.start for part in box)
        inside = []
        for piece in self.pieces:
            clipped: Piece | None = piece
            for axis, part in enumerate(box):
                clipped = clipped and clipped.clip(axis, part.start, part.stop)
            if clipped:
                inside.append(clipped)
        if len(inside) == 1:
            return inside[0].read()
        out = np.empty(shape, self.meta.dtype.numpy)
        for piece in inside:
            where = tuple(slice(at, at + piece.length(axis)) for axis, at in enumerate(piece.at))
            out[where] = piece.read()
        return out

    def load(self) -> Array:
        """All elements."""
        return self.read(tuple(slice(0, n) for n in self.meta.shape))


def _inserted(items: tuple[T, ...], at: int, item: T) -> tuple[T, ...]:
    return (*items[:at], item, *items[at:])


def _without(items: tuple[T, ...], at: int) -> tuple[T, ...]:
    return (*items[:at], *items[at + 1 :])
