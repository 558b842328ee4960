"""The op algebra: rearrangements of tensors that own their inverse and never write into their input.

Laws, property-tested for every op: `op.inverse().inverse() == op`; `op.inverse().apply(op.apply(x))` is `x` bit for
bit; `op.infer(metas)` is what `op.apply` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ckpt2hf.errors import MappingError
from ckpt2hf.ops.mosaic import Mosaic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.tensors import Meta


class Op(ABC):
    """An invertible rearrangement of a fixed number of tensors into a fixed number of tensors."""

    @abstractmethod
    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """Shapes and types of the result. Raises MappingError when the op does not fit the input."""

    @abstractmethod
    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """The rearranged tensors. The input must fit (`infer`)."""

    @abstractmethod
    def inverse(self) -> Op:
        """The op that undoes this one."""

    @abstractmethod
    def describe(self) -> str:
        """In words, for a derivation in the report."""

    def count(self, given: int) -> int:
        """How many tensors come out when `given` go in; as many, unless an op says otherwise."""
        return given


@dataclass(frozen=True, slots=True)
class Transpose(Op):
    """Swaps the two axes of every matrix; vectors are refused. `[a, b] -> [b, a]`."""

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """`[b, a]` for each `[a, b]`."""
        for meta in metas:
            if len(meta.shape) != 2:  # noqa: PLR2004 - a matrix
                raise MappingError(f"transpose needs a matrix, not {meta}")
        return tuple(replace(meta, shape=meta.shape[::-1]) for meta in metas)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """Each matrix transposed."""
        return tuple(part.permute((1, 0)) for part in parts)

    def inverse(self) -> Transpose:
        """Itself."""
        return self

    def describe(self) -> str:
        """One word."""
        return "transpose"


@dataclass(frozen=True, slots=True)
class Split(Op):
    """Cuts one tensor along an axis. `[.., sum(sizes), ..] -> n x [.., size, ..]`."""

    axis: int
    sizes: tuple[int, ...]

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """One meta per size."""
        (meta,) = metas
        if not self.axis < len(meta.shape) or meta.shape[self.axis] != sum(self.sizes):
            sizes = "+".join(map(str, self.sizes))
            raise MappingError(f"axis {self.axis} of {meta} is not {sizes} long")
        return tuple(
            replace(meta, shape=(*meta.shape[: self.axis], size, *meta.shape[self.axis + 1 :])) for size in self.sizes
        )

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """The cuts, in order."""
        (whole,) = parts
        bounds = accumulate(self.sizes, initial=0)
        return tuple(whole.cut(self.axis, start, stop) for start, stop in pairwise(bounds))

    def inverse(self) -> Concat:
        """The concatenation of the same sizes."""
        return Concat(self.axis, self.sizes)

    def count(self, given: int) -> int:  # noqa: ARG002 - always one tensor
        """As many as there are sizes."""
        return len(self.sizes)

    def describe(self) -> str:
        """How many parts, along which axis."""
        return f"split in {len(self.sizes)} along axis {self.axis}"


@dataclass(frozen=True, slots=True)
class Concat(Op):
    """Joins tensors along an axis. `n x [.., size, ..] -> [.., sum(sizes), ..]`."""

    axis: int
    sizes: tuple[int, ...]

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """One meta; the parts agree in type and in every other axis."""
        if len(metas) != len(self.sizes):
            raise MappingError(f"{len(self.sizes)} tensors were to be joined, there are {len(metas)}")
        first = metas[0]
        for meta, size in zip(metas, self.sizes, strict=True):
            fits = self.axis < len(meta.shape) and meta.shape[self.axis] == size and meta.dtype is first.dtype
            if not fits or _others(meta, self.axis) != _others(first, self.axis):
                raise MappingError(f"cannot join {meta} to {first} along axis {self.axis}, where {size} was expected")
        shape = (*first.shape[: self.axis], sum(self.sizes), *first.shape[self.axis + 1 :])
        return (replace(first, shape=shape),)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """The joined tensor."""
        return (Mosaic.concat(parts, self.axis),)

    def inverse(self) -> Split:
        """The cut into the same sizes."""
        return Split(self.axis, self.sizes)

    def count(self, given: int) -> int:  # noqa: ARG002 - always all of them
        """One."""
        return 1

    def describe(self) -> str:
        """How many parts, along which axis."""
        return f"join {len(self.sizes)} along axis {self.axis}"


def _others(meta: Meta, axis: int) -> tuple[int, ...]:
    return (*meta.shape[:axis], *meta.shape[axis + 1 :])


@dataclass(frozen=True, slots=True)
class Squeeze(Op):
    """Removes an axis of length one. `[.., 1, ..] -> [.., ..]`."""

    axis: int

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """Without the axis."""
        for meta in metas:
            if not self.axis < len(meta.shape) or meta.shape[self.axis] != 1:
                raise MappingError(f"axis {self.axis} of {meta} is not of length one")
        return tuple(replace(meta, shape=_others(meta, self.axis)) for meta in metas)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """Each tensor without the axis."""
        return tuple(part.squeeze(self.axis) for part in parts)

    def inverse(self) -> Unsqueeze:
        """Adding the axis again."""
        return Unsqueeze(self.axis)

    def describe(self) -> str:
        """Which axis goes."""
        return f"remove axis {self.axis}"


@dataclass(frozen=True, slots=True)
class Unsqueeze(Op):
    """Adds an axis of length one. `[.., ..] -> [.., 1, ..]`."""

    axis: int

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """With the axis."""
        for meta in metas:
            if self.axis > len(meta.shape):
                raise MappingError(f"{meta} has no place for an axis {self.axis}")
        return tuple(replace(m, shape=(*m.shape[: self.axis], 1, *m.shape[self.axis :])) for m in metas)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """Each tensor with the axis."""
        return tuple(part.unsqueeze(self.axis) for part in parts)

    def inverse(self) -> Squeeze:
        """Removing the axis again."""
        return Squeeze(self.axis)

    def describe(self) -> str:
        """Which axis comes."""
        return f"add axis {self.axis}"
