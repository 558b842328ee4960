"""Which values of a spec's fields make sense together.

What does not apply has exactly one way to say so: two specs are equal exactly when they describe the same function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir.text import KINDS, accepts, within_bounds, written
from ckpt2hf.ir.values import Factor, Mlp, Norm, NormPlacement, Position, QkNorm, RopeLayout, RopeScaling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ckpt2hf.ir.spec import ModelSpec

ONE = Factor("1")
_ROPE = (Position.ROPE, Position.ROPE_ON_HEADS)
_TABLE = (Position.LEARNED, Position.SINUSOIDAL)


def _rotates(spec: ModelSpec) -> bool:
    return spec.position in _ROPE


def _slides(spec: ModelSpec) -> bool:
    return any(spec.layer_pattern.slides(i) for i in range(min(spec.layers, len(spec.layer_pattern.text))))


def _full(spec: ModelSpec) -> bool:
    return not all(spec.layer_pattern.slides(i) for i in range(min(spec.layers, len(spec.layer_pattern.text))))


UNLESS: tuple[tuple[str, Any, Callable[[ModelSpec], bool], str], ...] = (
    ("position_scale", ONE, lambda s: s.position in _TABLE, "there is no position table"),
    ("rope_layout", RopeLayout.NONE, _rotates, "there is no RoPE"),
    ("rope_reversed", False, _rotates, "there is no RoPE"),
    ("rope_theta", 0.0, lambda s: _rotates(s) and s.rope_everywhere and _full(s), "no layer with RoPE sees everything"),
    ("rope_dims", 0, _rotates, "there is no RoPE"),
    ("rope_scaling", RopeScaling("none"), _rotates, "there is no RoPE"),
    ("rope_local_theta", 0.0, lambda s: _rotates(s) and _slides(s), "no layer with RoPE slides"),
    ("rope_everywhere", True, lambda s: _rotates(s) and _slides(s), "no layer with RoPE slides"),
    ("sliding_window", 0, _slides, "no layer slides"),
    ("qk_norm_weight", False, lambda s: s.qk_norm is not QkNorm.NONE, "queries and keys are not normalised"),
    ("qk_norm_after_rope", False, lambda s: s.qk_norm is not QkNorm.NONE, "queries and keys are not normalised"),
    ("norm_offset", False, lambda s: s.norm_weight or s.qk_norm_weight, "no norm has a weight"),
    ("experts_per_token", 0, lambda s: s.experts > 0, "there are no experts"),
)
"""Field, the value that says it does not apply, when it does apply, and why not otherwise."""


def nonsense(spec: ModelSpec) -> Iterator[str]:
    """Everything that is impossible or means nothing about a spec."""
    for name in KINDS:
        if not within_bounds(name, found := getattr(spec, name)):
            yield f"{name} is {written(found)}, it takes {accepts(name)}"
    for name, neutral, applies, why in UNLESS:
        if getattr(spec, name) != neutral and not applies(spec):
            yield f"{name} is {written(getattr(spec, name))}, but {why}"
    yield from _lengths(spec)
    yield from _rope(spec)
    yield from _structure(spec)


def _lengths(spec: ModelSpec) -> Iterator[str]:
    if spec.kv_heads > 0 and spec.heads % spec.kv_heads:
        yield f"heads is {spec.heads}, which kv_heads, {spec.kv_heads}, does not divide"
    if spec.embed_rows < spec.vocab:
        yield f"embed_rows is {spec.embed_rows}, fewer than vocab, {spec.vocab}"
    if spec.head_rows < spec.vocab:
        yield f"head_rows is {spec.head_rows}, fewer than vocab, {spec.vocab}"
    if spec.tied and spec.head_rows != spec.embed_rows:
        yield f"tied is true, but head_rows, {spec.head_rows}, is not embed_rows, {spec.embed_rows}"
    if spec.experts and not 0 < spec.experts_per_token <= spec.experts:
        yield f"experts_per_token is {spec.experts_per_token}, of {spec.experts} experts"


def _rope(spec: ModelSpec) -> Iterator[str]:
    if not _rotates(spec):
        return
    if spec.rope_layout is RopeLayout.NONE:
        yield "rope_layout is none, but position is rope"
    if not 0 < spec.rope_dims <= spec.head_dim or spec.rope_dims % 2:
        yield f"rope_dims is {spec.rope_dims}, it must be even and at most head_dim, {spec.head_dim}"
    if spec.rope_everywhere and _full(spec) and not spec.rope_theta:
        yield "rope_theta is 0, but there is RoPE"
    if _slides(spec) and not spec.rope_local_theta:
        yield "rope_local_theta is 0, but there is RoPE in layers that slide"


def _structure(spec: ModelSpec) -> Iterator[str]:
    if _slides(spec) and not spec.sliding_window:
        yield "sliding_window is 0, but layers slide"
    if spec.experts and (spec.mlp is not Mlp.GATED or spec.mlp_bias):
        yield "experts are gated and have no bias"
    if spec.norm is Norm.RMSNORM and spec.norm_bias:
        yield "norm_bias is true, but an rmsnorm has none"
    if spec.norm_bias and not spec.norm_weight:
        yield "norm_bias is true, but the norms have no weight"
    if spec.norm_placement is NormPlacement.PARALLEL and spec.experts:
        yield "experts in parallel with attention are not known"
    if spec.rope_scaling.kind != "none" and _slides(spec):
        yield "rope_scaling together with sliding layers is not known"
