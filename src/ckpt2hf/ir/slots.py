"""The canonical tensors of a spec: most decomposed form, every linear `[out, in]`, q, k and v apart."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ckpt2hf.ir.values import Mlp, NormPlacement, Position, QkNorm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.ir.spec import ModelSpec

    Slot = tuple[str, tuple[int, ...]]


def slots(spec: ModelSpec) -> Mapping[str, tuple[int, ...]]:
    """Every slot of the spec with its shape, in the order in which a forward pass uses them."""
    return dict(_all(spec))


@lru_cache(maxsize=64)
def _all(spec: ModelSpec) -> tuple[Slot, ...]:
    return tuple(_slots(spec))


def _slots(spec: ModelSpec) -> Iterator[Slot]:
    d = spec.d_model
    yield "embed.weight", (spec.embed_rows, d)
    if spec.position is Position.LEARNED:
        yield "positions.weight", (spec.context, d)
    for i in range(spec.layers):
        yield from _block(spec, f"layers.{i}")
    if spec.final_norm:
        yield from _norm(spec, "final_norm")
    if not spec.tied:
        yield "head.weight", (spec.head_rows, d)
    if spec.head_bias:
        yield "head.bias", (spec.head_rows,)


def _block(spec: ModelSpec, at: str) -> Iterator[Slot]:
    d = spec.d_model
    yield from _norm(spec, f"{at}.attn_norm")
    for part, rows in (("q", spec.inner), ("k", spec.kv_inner), ("v", spec.kv_inner)):
        yield from _linear(f"{at}.attn.{part}", rows, d, bias=spec.qkv_bias)
    if spec.qk_norm_weight:
        whole = spec.qk_norm is QkNorm.WIDTH
        yield f"{at}.attn.q_norm.weight", (spec.inner if whole else spec.head_dim,)
        yield f"{at}.attn.k_norm.weight", (spec.kv_inner if whole else spec.head_dim,)
    yield from _linear(f"{at}.attn.out", d, spec.inner, bias=spec.out_bias)
    if spec.norm_placement is NormPlacement.SANDWICH:
        yield from _norm(spec, f"{at}.attn_out_norm")
    if spec.norm_placement is not NormPlacement.PARALLEL:
        yield from _norm(spec, f"{at}.mlp_norm")
    yield from _mlps(spec, at)
    if spec.norm_placement is NormPlacement.SANDWICH:
        yield from _norm(spec, f"{at}.mlp_out_norm")


def _mlps(spec: ModelSpec, at: str) -> Iterator[Slot]:
    places = [f"{at}.mlp"]
    if spec.experts:
        yield f"{at}.router.weight", (spec.experts, spec.d_model)
        places = [f"{at}.experts.{e}" for e in range(spec.experts)]
    for place in places:
        for part in ("gate", "up") if spec.mlp is Mlp.GATED else ("up",):
            yield from _linear(f"{place}.{part}", spec.d_ff, spec.d_model, bias=spec.mlp_bias)
        yield from _linear(f"{place}.down", spec.d_model, spec.d_ff, bias=spec.mlp_bias)


def _linear(name: str, rows: int, columns: int, *, bias: bool) -> Iterator[Slot]:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _norm(spec: ModelSpec, name: str) -> Iterator[Slot]:
    if spec.norm_weight:
        yield f"{name}.weight", (spec.d_model,)
    if spec.norm_bias:
        yield f"{name}.bias", (spec.d_model,)
