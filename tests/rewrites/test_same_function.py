"""Every identity: the rewritten model computes the very same function, and what was only moved comes back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import support
from ckpt2hf.ir import (
    Factor,
    NormPlacement,
    Position,
    QkNorm,
    RopeLayout,
    RopeScaling,
)
from ckpt2hf.ir import slots as slots_of
from ckpt2hf.rewrites import REWRITES, Exactness
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.rewrites import Rewrite

MOVED = 1e-10
"""Largest float64 difference of logits where numbers were only moved (measured: 1e-14)."""
ROUNDED = 3e-6
"""The same where each was rounded once to float32 (measured: 5e-7)."""

GPT = replace(support.SPEC, layers=2)
LLAMA = replace(
    support.LLAMA, layers=2, d_model=20, heads=4, head_dim=6, rope_dims=6, d_ff=28, context=GPT.context, qkv_bias=True
)
QK = {"qk_norm": QkNorm.HEAD, "qk_norm_weight": True}
NO_ROPE = {"rope_layout": RopeLayout.NONE, "rope_theta": 0.0, "rope_dims": 0}
CASES: dict[str, tuple[str, ModelSpec]] = {
    "unused rows of a tied embedding": ("embed_rows", replace(GPT, tied=True, embed_rows=70, head_rows=70)),
    "an unused row of the embedding": ("embed_rows", replace(GPT, embed_rows=62)),
    "unused rows of the head, with a bias": ("head_rows", replace(GPT, head_rows=64, head_bias=True)),
    "no LayerNorm bias": ("norm_bias", replace(GPT, norm_bias=False)),
    "no qkv bias": ("qkv_bias", replace(GPT, qkv_bias=False)),
    "no output bias": ("out_bias", replace(GPT, out_bias=False)),
    "no MLP bias": ("mlp_bias", replace(GPT, mlp_bias=False)),
    "sinusoids": ("position", replace(GPT, position=Position.SINUSOIDAL)),
    "RoPE by heads": ("position", replace(LLAMA, position=Position.ROPE_ON_HEADS, kv_heads=4)),
    "RoPE by heads, norms": ("position", replace(LLAMA, position=Position.ROPE_ON_HEADS, kv_heads=4, **QK)),
    "no position": ("position", replace(LLAMA, position=Position.NONE, **NO_ROPE)),
    "pairs": ("rope_layout", replace(LLAMA, rope_layout=RopeLayout.PAIRS)),
    "pairs, norms over heads": ("rope_layout", replace(LLAMA, rope_layout=RopeLayout.PAIRS, **QK)),
    "pairs, norms over the width": (
        "rope_layout",
        replace(LLAMA, rope_layout=RopeLayout.PAIRS, **{**QK, "qk_norm": QkNorm.WIDTH}),
    ),
    "pairs, a part of the head": ("rope_layout", replace(LLAMA, rope_layout=RopeLayout.PAIRS, rope_dims=4)),
    "halves to pairs": ("rope_layout", LLAMA),
    "reversed halves": ("rope_reversed", replace(LLAMA, rope_reversed=True)),
    "reversed pairs": ("rope_reversed", replace(LLAMA, rope_reversed=True, rope_layout=RopeLayout.PAIRS)),
    "norms after RoPE": ("qk_norm_after_rope", replace(LLAMA, qk_norm=QkNorm.HEAD, qk_norm_after_rope=True)),
    "norms without weights": ("norm_weight", replace(LLAMA, norm_weight=False)),
    "norms of q and k without weights": ("qk_norm_weight", replace(LLAMA, qk_norm=QkNorm.HEAD)),
    "weights from one": ("norm_offset", replace(LLAMA, norm_offset=True, **QK)),
    "weights to one": ("norm_offset", replace(LLAMA, **QK)),
    "scaled embedding, tied": ("embed_scale", replace(LLAMA, tied=True, embed_scale=Factor("d_model**0.5"))),
    "scaled embedding": ("embed_scale", replace(GPT, embed_scale=Factor("4"))),
    "scaled positions": ("position_scale", replace(GPT, position_scale=Factor("d_model**-0.5"))),
    "scaled logits, tied": ("logit_scale", replace(GPT, tied=True, logit_scale=Factor("0.3"))),
    "scaled logits, with a bias": ("logit_scale", replace(GPT, head_bias=True, logit_scale=Factor("0.25"))),
    "narrow heads": ("inner", replace(GPT, head_dim=5)),
    "a narrow MLP": ("d_ff", GPT),
    "attention scale": ("attention_scale", replace(GPT, attention_scale=Factor("d_model**-0.5"))),
    "attention scale, norms": ("attention_scale", replace(LLAMA, attention_scale=Factor("0.5"), **QK)),
    "attention scale, norms that count from one": (
        "attention_scale",
        replace(LLAMA, attention_scale=Factor("0.5"), norm_offset=True, **QK),
    ),
    "head bias": ("head_bias", replace(GPT, head_bias=True)),
    "head bias, tied": ("head_bias", replace(GPT, head_bias=True, tied=True)),
    "head bias, post-norm": (
        "head_bias",
        replace(GPT, head_bias=True, norm_placement=NormPlacement.POST, final_norm=False),
    ),
}


def rewrites_for(field: str) -> list[Rewrite]:
    return [rewrite for rewrite in REWRITES if rewrite.solves == field]


def logits(spec: ModelSpec, slots: Any) -> torch.Tensor:
    tokens = torch.from_numpy(np.random.default_rng(3).integers(0, spec.vocab, (2, 9)))
    return reference(spec, load_slots(slots, torch.float32), tokens, dtype=torch.float64)


def apply(field: str, spec: ModelSpec, before: Any) -> Any:
    made = [after for rewrite in rewrites_for(field) if (after := rewrite.apply(spec, before)) is not None]
    assert len(made) == 1, "exactly one identity is for it"
    return made[0]


@pytest.mark.parametrize("name", CASES)
def test_the_function_stays(name: str, drawn: Any) -> None:
    field, spec = CASES[name]
    assert spec.problems() == []
    before = drawn(spec)
    made = apply(field, spec, before)
    assert made.spec.problems() == []
    assert list(made.slots) == list(slots_of(made.spec)) or set(made.slots) == set(slots_of(made.spec))
    assert {slot: part.meta.shape for slot, part in made.slots.items()} == dict(slots_of(made.spec))
    wanted, found = logits(spec, before), logits(made.spec, made.slots)
    allowed = MOVED if made.exactness is Exactness.BITWISE else ROUNDED
    assert float((wanted - found).abs().max()) <= allowed * float(wanted.std())
    assert float(wanted.std()) > 0.1


@pytest.mark.parametrize("name", CASES)
def test_what_was_moved_comes_back(name: str, drawn: Any) -> None:
    field, spec = CASES[name]
    before = drawn(spec)
    made = apply(field, spec, before)
    for slot, part in made.restored(made.slots).items():
        if slot in before:
            assert part.load().tobytes() == before[slot].load().tobytes(), slot
    unaccounted = (
        before.keys() - made.restored(made.slots).keys() - {o for used in made.computed.values() for o in used}
    )
    assert not unaccounted


@pytest.mark.parametrize("name", [name for name, (field, _) in CASES.items() if field.startswith("rope")])
def test_a_forgotten_or_doubled_permutation_is_loud(name: str, drawn: Any) -> None:
    field, spec = CASES[name]
    before = drawn(spec)
    made = apply(field, spec, before)
    wanted = logits(spec, before)
    twice = apply(field, spec, {slot: made.slots[slot] for slot in before}).slots
    for wrong in (before, twice):
        assert float((wanted - logits(made.spec, wrong)).abs().max()) > 1e-3


def test_every_identity_has_a_case() -> None:
    others = {"final_norm"}  # not the same function, but close: test_final_norm
    assert {rewrite.solves for rewrite in REWRITES} == {field for field, _ in CASES.values()} | others


REFUSED: dict[str, tuple[str, ModelSpec]] = {
    "grouped queries turned by heads": ("position", replace(LLAMA, position=Position.ROPE_ON_HEADS)),
    "a weighted norm after RoPE": ("qk_norm_after_rope", replace(LLAMA, qk_norm_after_rope=True, **QK)),
    "a head bias after an RMSNorm": ("head_bias", replace(LLAMA, head_bias=True)),
    "a head bias without a norm before it": ("head_bias", replace(GPT, head_bias=True, final_norm=False)),
    "a scale before norms without weights": (
        "attention_scale",
        replace(LLAMA, qk_norm=QkNorm.HEAD, attention_scale=Factor("0.5")),
    ),
    "heads wider than the model": ("inner", replace(GPT, head_dim=16)),
    "a wide MLP": ("d_ff", replace(GPT, d_ff=200)),
    "turned heads and a weighted norm after it": (
        "position",
        replace(LLAMA, position=Position.ROPE_ON_HEADS, kv_heads=4, qk_norm_after_rope=True, **QK),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_where_an_identity_does_not_hold_it_is_not_applied(name: str, drawn: Any) -> None:
    field, spec = REFUSED[name]
    assert [rewrite.apply(spec, drawn(spec)) for rewrite in rewrites_for(field)] == [None] * len(rewrites_for(field))


def test_a_rope_that_stands_still_turns_nothing_at_any_length() -> None:
    spec = replace(LLAMA, rope_scaling=RopeScaling("linear:1e+30"))
    assert 1e6 * spec.rope_theta**0 / spec.rope_scaling.numbers[0] < 1e-20
