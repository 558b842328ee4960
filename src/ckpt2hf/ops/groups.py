"""Ops between one tensor and many of the same kind: a stack of matrices, or rows dealt out in rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from ckpt2hf.errors import MappingError
from ckpt2hf.ops.mosaic import Mosaic
from ckpt2hf.ops.op import Op

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.tensors import Meta


@dataclass(frozen=True, slots=True)
class Unstack(Op):
    """Takes a stack of tensors apart. `[n, ..] -> n x [..]`."""

    size: int

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """Each without the first axis."""
        (meta,) = metas
        if not meta.shape or meta.shape[0] != self.size:
            raise MappingError(f"{meta} is no stack of {self.size}")
        return (replace(meta, shape=meta.shape[1:]),) * self.size

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """The tensors of the stack, in order."""
        (whole,) = parts
        return tuple(whole.cut(0, k, k + 1).squeeze(0) for k in range(self.size))

    def inverse(self) -> Stack:
        """The stack again."""
        return Stack(self.size)

    def describe(self) -> str:
        """How many there are."""
        return f"unstack {self.size}"

    def count(self, given: int) -> int:  # noqa: ARG002 - always one tensor
        """As many as the stack is high."""
        return self.size


@dataclass(frozen=True, slots=True)
class Stack(Op):
    """Lays tensors of one shape on each other. `n x [..] -> [n, ..]`."""

    size: int

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """With a new first axis."""
        if len(metas) != self.size or not metas or any(meta != metas[0] for meta in metas):
            raise MappingError(f"a stack of {self.size} needs as many tensors of one shape and type")
        return (replace(metas[0], shape=(self.size, *metas[0].shape)),)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """The stack."""
        return (Mosaic.concat([part.unsqueeze(0) for part in parts], 0),)

    def inverse(self) -> Unstack:
        """The tensors again."""
        return Unstack(self.size)

    def describe(self) -> str:
        """How many there are."""
        return f"stack {self.size}"

    def count(self, given: int) -> int:  # noqa: ARG002 - always all of them
        """One."""
        return 1


@dataclass(frozen=True, slots=True)
class Deal(Op):
    """Deals rows out in rounds, to each what it gets in a round. `[rounds*sum(sizes), ..] -> n x [rounds*size, ..]`.

    With sizes (2d, d, d) and as many rounds as key heads: a fused matrix that holds, for each group, two heads of q and
    one each of k and v, becomes q, k and v.
    """

    sizes: tuple[int, ...]
    rounds: int

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """One meta for each size."""
        (meta,) = metas
        if not meta.shape or meta.shape[0] != self.rounds * sum(self.sizes):
            sizes = "+".join(map(str, self.sizes))
            raise MappingError(f"axis 0 of {meta} is not {self.rounds} times {sizes} long")
        return tuple(replace(meta, shape=(self.rounds * size, *meta.shape[1:])) for size in self.sizes)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """What each gets, round after round."""
        (whole,) = parts
        step, bounds = sum(self.sizes), list(pairwise(accumulate(self.sizes, initial=0)))
        if not self.rounds:
            return tuple(whole.cut(0, 0, 0) for _ in bounds)
        dealt = ([whole.cut(0, k * step + a, k * step + b) for k in range(self.rounds)] for a, b in bounds)
        return tuple(Mosaic.concat(cards, 0) for cards in dealt)

    def inverse(self) -> Collect:
        """Collecting it again."""
        return Collect(self.sizes, self.rounds)

    def describe(self) -> str:
        """To how many, in how many rounds."""
        return f"deal to {len(self.sizes)} in {self.rounds} rounds"

    def count(self, given: int) -> int:  # noqa: ARG002 - always one tensor
        """As many as there are sizes."""
        return len(self.sizes)


@dataclass(frozen=True, slots=True)
class Collect(Op):
    """The reverse of `Deal`. `n x [rounds*size, ..] -> [rounds*sum(sizes), ..]`."""

    sizes: tuple[int, ...]
    rounds: int

    def infer(self, metas: Sequence[Meta]) -> tuple[Meta, ...]:
        """One meta; the parts agree in type and in every other axis."""
        if len(metas) != len(self.sizes):
            raise MappingError(f"{len(self.sizes)} tensors were to be collected, there are {len(metas)}")
        first = metas[0]
        for meta, size in zip(metas, self.sizes, strict=True):
            alike = meta.dtype is first.dtype and meta.shape[1:] == first.shape[1:]
            if not meta.shape or meta.shape[0] != self.rounds * size or not alike:
                raise MappingError(f"cannot collect {meta} with {first} in {self.rounds} rounds of {size}")
        return (replace(first, shape=(self.rounds * sum(self.sizes), *first.shape[1:])),)

    def apply(self, parts: Sequence[Mosaic]) -> tuple[Mosaic, ...]:
        """Round after round, a piece of each."""
        if not self.rounds:
            return (Mosaic.concat(parts, 0),)
        pieces = [
            part.cut(0, k * size, (k + 1) * size)
            for k in range(self.rounds)
            for part, size in zip(parts, self.sizes, strict=True)
        ]
        return (Mosaic.concat(pieces, 0),)

    def inverse(self) -> Deal:
        """Dealing it again."""
        return Deal(self.sizes, self.rounds)

    def describe(self) -> str:
        """From how many, in how many rounds."""
        return f"collect from {len(self.sizes)} in {self.rounds} rounds"

    def count(self, given: int) -> int:  # noqa: ARG002 - always all of them
        """One."""
        return 1
