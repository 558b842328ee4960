"""What is understood of a checkpoint as a whole: what the facts are read off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.dialects.draft.parts import Kind, LeftOut, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """The likeliest reading of a checkpoint; what is not certain of it is a question in `places`."""

    kinds: tuple[Kind, ...]
    places: tuple[Place, ...]
    left_out: tuple[LeftOut, ...]
    wide: int
    """The width of the model."""
    inner: int
    """The width of all query heads together; 0 where no reading says it."""
    kv_inner: int
    """The same for keys; 0 where no reading says it."""
    d_ff: int
    counted: Kind
    """A kind that is there once in each layer."""
    of_width: Kind
    """A kind with an axis as long as the model is wide."""
    feed_forward: Kind | None
    """A matrix with an axis as long as the MLP is wide."""
    d_ff_axis: int
    per_head: Kind | None
    """A kind that is there once for each head."""
    by_heads: tuple[Kind, int, int] | None
    """A kind with an axis for the heads and one for the width of a head, and these axes."""
    keys_by_heads: tuple[Kind, int, int] | None
    """The same, of the keys."""
    query_rows: tuple[Kind, int] | None
    """The matrix of the queries and its axis that is as long as all heads together."""
    key_rows: tuple[Kind, int] | None
    lengths: Mapping[str, tuple[str, ...]]
    """Sources of the numbers of words and positions; the first is the marker of a question where tensors are one."""
    has_positions: bool
    norms: tuple[str, ...]
    """The norms of a block, likeliest reading."""
    norm_kinds: tuple[Kind, ...]
    norm_weight: bool
    norm_bias: bool
    final_norm: bool
    qk_norm: tuple[Kind, str] | None
    """The norm of the queries, and whether it is over each `head` or the `width`."""
    gated: bool | None
    """None where no reading of the block says it, as with its biases."""
    experts: Kind | None
    biases: Mapping[str, bool | None]
    tied: str
