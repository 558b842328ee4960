"""Attention scale, zero biases and rounding, against plain NumPy; and how exact a plan may call itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from ckpt2hf.api import DType, Request, Writing, convert, plan
from ckpt2hf.ir import Factor
from ckpt2hf.rewrites import REWRITES, Cast, Exactness
from ckpt2hf.rewrites.attention_scale import FoldAttentionScale
from ckpt2hf.rewrites.zero_bias import ZeroBias

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.tensors import Array

FIELDS = ("norm_bias", "qkv_bias", "out_bias", "mlp_bias")
LECTURE = {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)}


def whole(leaf: Any) -> Array:
    return leaf.read(tuple(slice(0, n) for n in leaf.meta.shape))


@pytest.mark.parametrize(
    ("scale", "heads", "exactness", "ratio"),
    [
        ("d_model**-0.5", 1, Exactness.BITWISE, 1),
        ("d_model**-0.5", 3, Exactness.ALGEBRAIC, 3**-0.5),
        ("d_model**-0.5", 4, Exactness.BITWISE, 1 / 2),
        ("d_model**-0.5", 6, Exactness.ALGEBRAIC, 6**-0.5),
        ("d_model**-0.5", 12, Exactness.ALGEBRAIC, 12**-0.5),
        ("1.0", 3, Exactness.BITWISE, 2),
        ("0.25", 3, Exactness.BITWISE, 0.5),
        ("0.3", 3, Exactness.ALGEBRAIC, 0.6),
    ],
)
def test_the_ratio_goes_into_q_alone(
    scale: str, heads: int, exactness: Exactness, ratio: float, spec_with: Any, drawn: Any
) -> None:
    spec = spec_with(heads=heads, d_model=4 * heads, attention_scale=Factor(scale))
    before = drawn(spec)
    made = FoldAttentionScale().apply(spec, before)
    assert made is not None
    assert (made.exactness, made.spec.attention_scale.text) == (exactness, "head_dim**-0.5")
    for name, part in made.slots.items():
        wanted = before[name].load()
        if ".attn.q." in name:
            wanted = (wanted.astype(np.float64) * ratio).astype(np.float32)
        assert part.load().tobytes() == wanted.tobytes()


def test_the_scores_are_the_same(spec_with: Any, drawn: Any) -> None:
    spec = spec_with(attention_scale=Factor("d_model**-0.5"))
    before = drawn(spec, np.float64)
    made = FoldAttentionScale().apply(spec, before)
    assert made is not None
    x = np.random.default_rng(0).normal(size=(5, spec.d_model))

    def scores(slots: Any, scale: float) -> Array:
        q, k = (x @ slots[f"layers.1.attn.{p}.weight"].load().T + slots[f"layers.1.attn.{p}.bias"].load() for p in "qk")
        return np.stack([a @ b.T for a, b in zip(np.split(q, 3, 1), np.split(k, 3, 1), strict=True)]) * scale

    apart = scores(made.slots, spec.head_dim**-0.5) - scores(before, spec.d_model**-0.5)
    assert np.abs(apart).max() <= 1e-13


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("scale", ["1.0", "0.25", "0.125"])
def test_a_power_of_two_is_undone_bit_for_bit(dtype: Any, scale: str, spec_with: Any, drawn: Any) -> None:
    spec = spec_with(attention_scale=Factor(scale))
    before = drawn(spec, dtype)
    made = FoldAttentionScale().apply(spec, before)
    assert made is not None
    back = made.restored(made.slots)
    assert all(back[name].load().tobytes() == before[name].load().tobytes() for name in before)


def test_a_ratio_that_rounds_is_computed_again_instead(spec_with: Any, drawn: Any) -> None:
    spec = spec_with(attention_scale=Factor("d_model**-0.5"))
    made = FoldAttentionScale().apply(spec, drawn(spec))
    assert made is not None
    assert set(made.computed) == {name for name in made.slots if ".attn.q." in name}
    assert not set(made.restored(made.slots)) & set(made.computed)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_zero_biases_have_the_type_of_their_weight(field: str, dtype: Any, spec_with: Any, drawn: Any) -> None:
    spec = spec_with(**{field: False})
    before = drawn(spec, dtype)
    made = ZeroBias(field, "bias").apply(spec, before)
    assert made is not None
    assert (made.exactness, getattr(made.spec, field)) == (Exactness.BITWISE, True)
    added = set(made.slots) - set(before)
    assert added == set(made.computed)
    assert all(name.endswith(".bias") for name in added)
    for name in added:
        assert made.slots[name].meta.dtype is made.slots[name.removesuffix("bias") + "weight"].meta.dtype
        assert not any(made.slots[name].load().tobytes())
    assert all(made.slots[name] is before[name] for name in before)
    assert set(made.restored(made.slots)) == set(before)


def test_biases_that_are_there_are_not_added_again(spec_with: Any, drawn: Any) -> None:
    spec = spec_with()
    assert [ZeroBias(field, "bias").apply(spec, drawn(spec)) for field in FIELDS] == [None] * 4


def test_zero_norm_biases_come_before_the_fold_that_needs_them() -> None:
    order = [rewrite.solves for rewrite in REWRITES]
    assert order.index("norm_bias") < order.index("head_bias")


@pytest.mark.parametrize(
    ("value", "to", "wanted"),
    [
        (1e5, DType.F16, np.inf),
        (-1e5, DType.F16, -np.inf),
        (3.4e38, DType.BF16, np.inf),
        (65504.0, DType.F16, 65504.0),
        (1e-8, DType.F16, 0.0),
        (1 + 2**-9, DType.BF16, 1.0),
        (1 + 3 * 2**-9, DType.BF16, 1 + 2**-7),
    ],
)
def test_a_cast_rounds_as_pytorch_does_and_overflows_to_infinity(
    value: float, to: DType, wanted: float, held: Any
) -> None:
    array = np.full((2, 3), value, np.float32)
    found = whole(Cast(held(array), to))
    assert found.dtype == to.numpy
    assert np.all(found.astype(np.float64) == wanted)
    theirs = torch.from_numpy(array).to(getattr(torch, to.torch_name)).double().numpy()
    assert np.array_equal(found.astype(np.float64), theirs)


def test_widening_is_exact(held: Any) -> None:
    array = np.random.default_rng(0).normal(size=(4, 5)).astype(ml_dtypes.bfloat16)
    assert np.array_equal(whole(Cast(held(array), DType.F32)), array.astype(np.float32))


PLANS: dict[str, tuple[str, dict[str, Any], Exactness]] = {
    "rearranged only": ("nanogpt_bias", {"facts": ("activation=gelu",)}, Exactness.BITWISE),
    "zero biases": ("nanogpt_nobias_origmod", {"facts": ("activation=gelu",)}, Exactness.BITWISE),
    "head bias": ("az50_v2", LECTURE, Exactness.ALGEBRAIC),
    "another type": ("nanogpt_bias", {"facts": ("activation=gelu",), "dtype": DType.BF16}, Exactness.ROUNDED),
    "the same type": ("nanogpt_bias", {"facts": ("activation=gelu",), "dtype": DType.F32}, Exactness.BITWISE),
    "the same type, folded": ("az50_v2", {**LECTURE, "dtype": DType.F32}, Exactness.ALGEBRAIC),
    "another type, folded": ("az50_v2", {**LECTURE, "dtype": DType.F16}, Exactness.ROUNDED),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_is_as_exact_as_its_loosest_part(name: str, golden: Callable[[str], Any]) -> None:
    case, said, exactness = PLANS[name]
    made = plan(Request(source=golden(case).path, **said))
    assert made.exactness is exactness
    assert made.rounds is (exactness is Exactness.ROUNDED)


def test_a_bfloat16_source_with_a_head_bias_gets_a_float32_head(golden: Callable[[str], Any], tmp_path: Path) -> None:
    """The body keeps its type bit for bit; what is computed is not rounded to 8 bits, and loading rounds nothing."""
    case = golden("az50_v2")
    state = torch.load(case.path, weights_only=True)
    half = {name: tensor.bfloat16() for name, tensor in state.items()}
    torch.save(half, tmp_path / "half.pt")
    torch.save({name: tensor.float() for name, tensor in half.items()}, tmp_path / "widened.pt")
    logits = {}
    for source in ("half", "widened"):
        report = convert(Request(source=tmp_path / f"{source}.pt", **LECTURE), Writing(out=tmp_path / source))
        assert report.verdict.proved
        model = AutoModelForCausalLM.from_pretrained(tmp_path / source, dtype=torch.float32).eval()
        with torch.no_grad():
            logits[source] = model(torch.from_numpy(case.input_ids)).logits
    assert float((logits["half"] - logits["widened"]).abs().max()) <= 5e-5
    with safe_open(tmp_path / "half" / "model.safetensors", "pt") as file:
        types = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - not a mapping
    computed = {"lm_head.weight", "transformer.ln_f.weight", "transformer.ln_f.bias"}
    assert {types[name] for name in computed} == {"F32"}
    assert {kind for name, kind in types.items() if name not in computed} == {"BF16"}
    made = plan(Request(source=tmp_path / "half.pt", **LECTURE))
    assert made.config["torch_dtype"] == "float32"
