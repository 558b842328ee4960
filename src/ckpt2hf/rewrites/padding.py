"""Heads that do not fill the width of the model, and MLPs narrower than a class wants: zeros fill them up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckpt2hf.ir import Factor, Position, QkNorm
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites.leaves import Constant
from ckpt2hf.rewrites.rewrite import Exactness, Rewritten
from ckpt2hf.tensors import Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir import ModelSpec


@dataclass(frozen=True, slots=True)
class FillHeads:
    """A head filled up with numbers that are zero in q, k and v gives the same scores and the same sums."""

    solves: str = "inner"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with wider heads. None where the model's width is no multiple of the heads, or less."""
        wide, odd = divmod(spec.d_model, spec.heads)
        if odd or wide <= spec.head_dim or spec.position is Position.ROPE or spec.qk_norm is not QkNorm.NONE:
            return None
        scale = spec.attention_scale.value(head_dim=spec.head_dim, d_model=spec.d_model)
        rows = _filler(spec.head_dim, wide, 0)
        columns = _filler(spec.head_dim, wide, 1)
        after, undo = dict(slots), {}
        for name, part in slots.items():
            if ".attn." in name and ".attn.out." not in name:
                after[name], undo[name] = rows.fill(part), rows.take
            elif name.endswith(".attn.out.weight"):
                after[name], undo[name] = columns.fill(part), columns.take
        return Rewritten(
            id=f"heads of {spec.head_dim} filled up to {wide}",
            why="the heads of this class fill the model's width; zeros in q, k and v add nothing",
            exactness=Exactness.BITWISE,
            spec=replace(spec, head_dim=wide, attention_scale=Factor(repr(scale))),
            slots=after,
            undo=undo,
        )


@dataclass(frozen=True, slots=True)
class FillMlp:
    """Rows of zeros in the MLP's first matrix meet columns of zeros in its second."""

    solves: str = "d_ff"

    def apply(self, spec: ModelSpec, slots: Mapping[str, Mosaic]) -> Rewritten | None:
        """The same function with an MLP of four times the model's width. None for a wider one."""
        wide = 4 * spec.d_model
        if spec.d_ff >= wide:
            return None
        rows, columns = _filler(spec.d_ff, wide, 0), _filler(spec.d_ff, wide, 1)
        after, undo = dict(slots), {}
        for name, part in slots.items():
            if name.endswith((".mlp.up.weight", ".mlp.up.bias", ".mlp.gate.weight", ".mlp.gate.bias")):
                after[name], undo[name] = rows.fill(part), rows.take
            elif name.endswith(".mlp.down.weight"):
                after[name], undo[name] = columns.fill(part), columns.take
        return Rewritten(
            id=f"MLP of {spec.d_ff} filled up to {wide}",
            why="the MLP of this class is four times as wide as the model; zeros add nothing",
            exactness=Exactness.BITWISE,
            spec=replace(spec, d_ff=wide),
            slots=after,
            undo=undo,
        )


@dataclass(frozen=True, slots=True)
class _Filler:
    """Groups of `narrow` along an axis, each followed by zeros up to `wide`."""

    narrow: int
    wide: int
    axis: int
    fill: Callable[[Mosaic], Mosaic]
    take: Callable[[Mosaic], Mosaic]


def _filler(narrow: int, wide: int, axis: int) -> _Filler:
    def fill(part: Mosaic) -> Mosaic:
        shape, groups = list(part.meta.shape), part.meta.shape[axis] // narrow
        shape[axis] = wide - narrow
        zeros = Mosaic.of(Constant(Meta(tuple(shape), part.meta.dtype)))
        pieces = [each for k in range(groups) for each in (part.cut(axis, k * narrow, (k + 1) * narrow), zeros)]
        return Mosaic.concat(pieces, axis)

    def take(part: Mosaic) -> Mosaic:
        groups = part.meta.shape[axis] // wide
        return Mosaic.concat([part.cut(axis, k * wide, k * wide + narrow) for k in range(groups)], axis)

    return _Filler(narrow, wide, axis, fill, take)
