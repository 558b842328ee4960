"""The canonical tensors of a spec: most decomposed form, every linear `[out, in]`, q, k and v apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.ir.spec import ModelSpec


def slots(spec: ModelSpec) -> Mapping[str, tuple[int, ...]]:
    """Every slot of the spec with its shape, in the order in which a forward pass uses them."""
    return dict(_slots(spec))


def _slots(spec: ModelSpec) -> Iterator[tuple[str, tuple[int, ...]]]:
    d, inner = spec.d_model, spec.heads * spec.head_dim
    yield "embed.weight", (spec.vocab, d)
    yield "positions.weight", (spec.context, d)
    for i in range(spec.layers):
        at = f"layers.{i}"
        yield from _norm(f"{at}.attn_norm", d, bias=spec.norm_bias)
        for part in "qkv":
            yield from _linear(f"{at}.attn.{part}", inner, d, bias=spec.qkv_bias)
        yield from _linear(f"{at}.attn.out", d, inner, bias=spec.out_bias)
        yield from _norm(f"{at}.mlp_norm", d, bias=spec.norm_bias)
        yield from _linear(f"{at}.mlp.up", spec.d_ff, d, bias=spec.mlp_bias)
        yield from _linear(f"{at}.mlp.down", d, spec.d_ff, bias=spec.mlp_bias)
    if spec.final_norm:
        yield from _norm("final_norm", d, bias=spec.norm_bias)
    if not spec.tied:
        yield "head.weight", (spec.vocab, d)
    if spec.head_bias:
        yield "head.bias", (spec.vocab,)


def _linear(name: str, rows: int, columns: int, *, bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (rows,)


def _norm(name: str, width: int, *, bias: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    if bias:
        yield f"{name}.bias", (width,)
