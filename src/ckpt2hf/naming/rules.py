"""The vocabulary of a naming, as data: rules with ops whose sizes are still words, ties, and provable drops."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ckpt2hf.ops import Concat, Deal, Split, Squeeze, Stack, Transpose, Unsqueeze, Unstack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.naming.patterns import Pattern
    from ckpt2hf.ops import Op


class OpTemplate(Protocol):
    """An op whose sizes are words of `ModelSpec.dims` until it is bound to a spec."""

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:
        """The op for these lengths, applied to `arity` tensors."""
        ...


@dataclass(frozen=True, slots=True)
class TransposeTemplate:
    """Swaps the axes of every matrix."""

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - fits any size
        """The same for every size."""
        return Transpose()


@dataclass(frozen=True, slots=True)
class SplitTemplate:
    """Cuts one tensor into parts of the named lengths."""

    axis: int
    into: tuple[str, ...]

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - always one tensor
        """Sizes looked up."""
        return Split(self.axis, tuple(dims[word] for word in self.into))


@dataclass(frozen=True, slots=True)
class JoinTemplate:
    """Joins all tensors, each of the named length."""

    axis: int
    each: str

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:
        """One size for each tensor."""
        return Concat(self.axis, (dims[self.each],) * arity)


@dataclass(frozen=True, slots=True)
class SqueezeTemplate:
    """Removes an axis of length one."""

    axis: int

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - fits any size
        """The same for every size."""
        return Squeeze(self.axis)


@dataclass(frozen=True, slots=True)
class UnsqueezeTemplate:
    """Adds an axis of length one."""

    axis: int

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - fits any size
        """The same for every size."""
        return Unsqueeze(self.axis)


@dataclass(frozen=True, slots=True)
class UnstackTemplate:
    """Takes a stack of the named height apart."""

    size: str

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - always one tensor
        """The height looked up."""
        return Unstack(dims[self.size])


@dataclass(frozen=True, slots=True)
class StackTemplate:
    """Lays all tensors on each other."""

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - as many as there are
        """One layer for each tensor."""
        return Stack(arity)


@dataclass(frozen=True, slots=True)
class DealTemplate:
    """Deals rows out in a named number of rounds, parts of the named lengths."""

    into: tuple[str, ...]
    rounds: str

    def bind(self, dims: Mapping[str, int], arity: int) -> Op:  # noqa: ARG002 - always one tensor
        """Sizes and rounds looked up."""
        return Deal(tuple(dims[word] for word in self.into), dims[self.rounds])


@dataclass(frozen=True, slots=True)
class Rule:
    """These names, put through these ops, are these slots.

    A variable on both sides makes one link for each of its values; a variable on one side only is expanded in place,
    so `heads.{h}.key.weight` is as many tensors as there are heads.
    """

    names: tuple[Pattern, ...]
    slots: tuple[Pattern, ...]
    ops: tuple[OpTemplate, ...] = ()


@dataclass(frozen=True, slots=True)
class Tie:
    """A second name for the same numbers. Where both are present they are proved equal; either may be absent."""

    name: Pattern
    same_as: Pattern


class Expectation(enum.Enum):
    """What a tensor must be proved to be before it may be dropped."""

    CAUSAL_MASK = "causal_mask"
    """Ones on and below the diagonal, zeros above; leading axes of length one."""
    FUTURE_MASK = "future_mask"
    """The same turned round: ones above the diagonal, which are masked, zeros elsewhere."""
    ADDITIVE_MASK = "additive_mask"
    """What is added to scores: minus infinity, or -10,000 or less, above the diagonal, zeros elsewhere."""
    MASKED_SCORE = "masked_score"
    """A single number, -10,000 or less: what a masked score is replaced with."""
    POSITION_IDS = "position_ids"
    """0, 1, 2 and so on; leading axes of length one."""
    SINUSOIDS = "sinusoids"
    """The table of sines and cosines that the positions of this model are, a row for every position."""
    ROPE_FREQUENCIES = "rope_frequencies"
    """The frequencies of the RoPE that the facts describe, one for every pair."""
    ROPE_ANGLES = "rope_angles"
    """Complex numbers of length one: the angles of the RoPE that the facts describe, a row for every position."""
    ROPE_COSINES = "rope_cosines"
    """The cosines of these angles, a column for every pair or each column twice."""
    ROPE_SINES = "rope_sines"
    """The sines of these angles, a column for every pair or each column twice."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A tensor that carries no knowledge, once it is proved to be what is expected."""

    name: Pattern
    expect: Expectation


@dataclass(frozen=True, slots=True)
class Naming:
    """A bijection between somebody's tensor names and slots."""

    rules: tuple[Rule, ...]
    ties: tuple[Tie, ...] = ()
    drops: tuple[Drop, ...] = ()
