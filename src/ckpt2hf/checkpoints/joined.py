"""A tensor in several places: boxes in several files that are together exactly one tensor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import CheckpointError
from ckpt2hf.tensors import Array, Box, Meta, Stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.files import Span

MAX_PARTS = 1 << 13
"""Parts of the most finely cut tensor believed: comparing them with one another takes a second or two."""


@dataclass(frozen=True, slots=True)
class Part:
    """A box of a joined tensor, stored by itself."""

    tensor: Stored
    at: tuple[int, ...]
    """Its corner: where it begins, per axis."""

    @property
    def stop(self) -> tuple[int, ...]:
        """Where it ends, per axis."""
        return tuple(start + n for start, n in zip(self.at, self.tensor.meta.shape, strict=True))

    def common(self, box: Box) -> Box | None:
        """What it has of a box, counted from the corner of the whole; None if that is nothing."""
        inside = tuple(
            slice(max(start, part.start), min(stop, part.stop))
            for start, stop, part in zip(self.at, self.stop, box, strict=True)
        )
        return inside if all(part.start < part.stop for part in inside) else None


@dataclass(frozen=True, slots=True)
class JoinedRef(Stored):
    """A tensor in several places: boxes that cover it without overlap or gap, checked when it is made."""

    meta: Meta
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse parts that are not exactly the whole. Raises CheckpointError."""
        for part in self.parts:
            if part.tensor.meta.dtype is not self.meta.dtype:
                raise _wrong(self.meta, f"one part is {part.tensor.meta.dtype.torch_name}")
            if len(part.at) != len(self.meta.shape) or len(part.tensor.meta.shape) != len(part.at):
                raise _wrong(self.meta, f"one part has {len(part.tensor.meta.shape)} axes")
            if any(a < 0 or b > n for a, b, n in zip(part.at, part.stop, self.meta.shape, strict=True)):
                raise _wrong(self.meta, f"the part at {list(part.at)} up to {list(part.stop)} reaches outside")
        if len(self.parts) > MAX_PARTS:
            raise _wrong(self.meta, f"{len(self.parts)} parts are more than any run has processes")
        overlap = _overlap(self.parts)
        if overlap:
            raise _wrong(self.meta, f"the parts at {list(overlap[0].at)} and {list(overlap[1].at)} overlap")
        covered = sum(part.tensor.meta.size for part in self.parts)
        if covered != self.meta.size:
            raise _wrong(self.meta, f"{self.meta.size - covered} of its {self.meta.size} numbers are in no part")

    @classmethod
    def of(cls, meta: Meta, parts: Sequence[Part]) -> Stored:
        """The parts as one tensor; a single part that is the whole stands for itself. Raises CheckpointError."""
        filled = tuple(part for part in parts if part.tensor.meta.size)
        if len(filled) == 1 and filled[0].tensor.meta == meta:
            return cls(meta, filled).parts[0].tensor
        return cls(meta, filled)

    @classmethod
    def concat(cls, tensors: Sequence[Stored], axis: int) -> Stored:
        """Tensors laid one after another along an axis. Raises CheckpointError where their shapes do not allow it."""
        shape, parts, end = list(tensors[0].meta.shape), [], 0
        for tensor in tensors:
            parts.append(Part(tensor, tuple(end if k == axis else 0 for k in range(len(shape)))))
            end += tensor.meta.shape[axis] if axis < len(tensor.meta.shape) else 0
        shape[axis : axis + 1] = [end]
        return cls.of(Meta(tuple(shape), tensors[0].meta.dtype), parts)

    def read(self, box: Box) -> Array:
        """The elements of a box: a view where one part has them all, else a fresh array."""
        shape = tuple(part.stop - part.start for part in box)
        inside = [(part, common) for part in self.parts if (common := part.common(box)) is not None]
        if len(inside) == 1:
            return _read(*inside[0])
        out = np.empty(shape, self.meta.dtype.numpy)
        for part, common in inside:
            where = tuple(
                slice(mine.start - all_.start, mine.stop - all_.start) for mine, all_ in zip(common, box, strict=True)
            )
            out[where] = _read(part, common)
        return out

    @property
    def storages(self) -> tuple[Span, ...]:
        """Those of all parts."""
        return tuple(dict.fromkeys(storage for part in self.parts for storage in part.tensor.storages))

    @property
    def extents(self) -> tuple[Span, ...]:
        """Those of all parts."""
        return tuple(extent for part in self.parts for extent in part.tensor.extents)


def _read(part: Part, box: Box) -> Array:
    return part.tensor.read(
        tuple(slice(side.start - at, side.stop - at) for side, at in zip(box, part.at, strict=True))
    )


def _overlap(parts: Sequence[Part]) -> tuple[Part, Part] | None:
    """Two parts that share an element, if there are any."""
    starts, stops = np.array([part.at for part in parts], np.int64), np.array([part.stop for part in parts], np.int64)
    for k in range(1, len(parts)):
        shared = ((starts[:k] < stops[k]) & (starts[k] < stops[:k])).all(1)
        if shared.any():
            return parts[int(shared.argmax())], parts[k]
    return None


def _wrong(meta: Meta, why: str) -> CheckpointError:
    return CheckpointError(f"the parts of a tensor do not make up {meta}", details=[why])
