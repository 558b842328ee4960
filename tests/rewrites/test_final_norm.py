"""A final norm as a block of its own: close, not exact, closest with the right constant; refused elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.ir import Activation, NormPlacement, slots
from ckpt2hf.ops import Mosaic
from ckpt2hf.rewrites import Exactness
from ckpt2hf.rewrites.final_norm import FinalNormIntoBlock
from ckpt2hf.rewrites.leaves import Deviation, Table
from ckpt2hf.tensors import DType, Meta
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.weights import load_slots
from support import SPEC, resized

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

POST = resized(SPEC, norm_placement=NormPlacement.POST, activation=Activation.RELU)
CLOSE = 2e-5
"""What the class of exactness allows, in units of the logits' spread."""


def model(spec: ModelSpec, gain: float = 1.0) -> dict[str, Mosaic]:
    """Loud weights; `gain` scales what the blocks' norms give."""
    random = np.random.default_rng(1)
    made = {}
    for name, shape in slots(spec).items():
        array = random.standard_normal(shape)
        if len(shape) == 2:
            array *= 0.3
        elif name.endswith("norm.weight"):
            array = gain * (1 + 0.2 * array)
        meta = Meta(shape, DType.F64)
        made[name] = Mosaic.of(Table(meta, array))
    return made


def off(spec: ModelSpec, given: dict[str, Mosaic], changed: dict[str, Any] | None = None) -> float:
    """How far the rewritten model lies from the model, in units of the spread."""
    made = FinalNormIntoBlock().apply(spec, given)
    assert made
    assert made.exactness is Exactness.NUMERICAL
    assert list(made.slots) == list(slots(made.spec))
    assert not made.spec.final_norm
    tokens = torch.arange(2 * 20).view(2, 20) % spec.vocab
    wanted = reference(spec, load_slots(given, torch.float64), tokens)
    found = reference(made.spec, load_slots({**made.slots, **(changed or {})}, torch.float64), tokens)
    return float((found - wanted).abs().max() / wanted.std())


@pytest.mark.parametrize("gain", [0.3, 1.0, 4.0])
def test_it_is_close_but_not_exact(gain: float) -> None:
    assert 1e-12 < off(POST, model(POST, gain)) < CLOSE


def test_another_constant_is_further_off() -> None:
    given = model(POST, 0.3)
    name, shape = f"layers.{POST.layers}.attn_norm.weight", (POST.d_model,)
    for wrong in (0.02, 30.0):
        constant = Mosaic.of(Table(Meta(shape, DType.F64), np.full(shape, wrong)))
        assert off(POST, given, {name: constant}) > 2 * off(POST, given)


def test_the_constant_is_about_the_deviation_of_what_the_last_norm_gives() -> None:
    given = model(POST)
    weight, bias = (given[f"layers.2.mlp_norm.{kind}"] for kind in ("weight", "bias"))
    leaf = Deviation(weight, bias, POST.norm_eps, DType.F64)
    normal = np.random.default_rng(0).standard_normal((4000, POST.d_model))
    normal -= normal.mean(-1, keepdims=True)
    normal /= normal.std(-1, keepdims=True)
    box = (slice(0, POST.d_model),)
    given_by_norm = normal * weight.read(box) + bias.read(box)
    number = leaf.read(box)
    assert np.ptp(number) == 0
    assert number[0] == pytest.approx(np.sqrt(given_by_norm.var(-1).mean()), rel=0.02)
    assert leaf.read((slice(3, 7),)).shape == (4,)


@pytest.mark.parametrize("change", [{"norm_placement": NormPlacement.PRE}, {"final_norm": False}, {"norm_bias": False}])
def test_it_leaves_other_models_alone(change: dict[str, Any]) -> None:
    spec = replace(POST, **change)
    assert FinalNormIntoBlock().apply(spec, model(spec)) is None
