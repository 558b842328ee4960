"""How much is asked of a model in a proof: token counts that follow from its size. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.ir import Mlp

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

SHORT = 48
"""Tokens of the short sequences."""
SHARP = 24
"""Tokens of the float64 sequence: enough for every weight matrix to take part, and a twentieth of the time."""
AFFORDABLE = 1e10
"""Multiply-adds of a forward pass, an eighth of a second on two cores, up to which a full context is run."""

_LOGITS_AT_ONCE = 1 << 23
"""Elements of logits computed at a time: 32 MiB, twice that in float64."""
_SCORES_AT_ONCE = 1 << 24
"""Elements of attention scores computed at a time."""


def multiply_adds(spec: ModelSpec) -> int:
    """Multiply-adds per token: the elements of every matrix that multiplies."""
    matrices = 3 if spec.mlp is Mlp.GATED else 2
    mlps = matrices * spec.d_ff * max(spec.experts_per_token, 1) + spec.experts
    return spec.layers * spec.d_model * (2 * spec.inner + 2 * spec.kv_inner + mlps) + spec.vocab * spec.d_model


def short(spec: ModelSpec) -> int:
    """Tokens of each of the two sequences from position 0."""
    return min(spec.context, SHORT)


def last(spec: ModelSpec) -> int:
    """Tokens of the sequence that ends at the last position: the whole context where that is affordable."""
    return spec.context if spec.context * multiply_adds(spec) <= AFFORDABLE else short(spec)


def windows_at_once(length: int, vocab: int, heads: int) -> int:
    """How many windows of so many tokens are given to a model at a time, one at least, so that memory stays small."""
    return max(min(_LOGITS_AT_ONCE // (length * vocab), _SCORES_AT_ONCE // (length * length * heads)), 1)
