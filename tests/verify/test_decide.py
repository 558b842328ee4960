"""Which reading of a checkpoint the oracle's logits single out, and what rounding costs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import support
from ckpt2hf.ir import Activation, Factor
from ckpt2hf.verify.decide import decide
from ckpt2hf.verify.reference import reference
from ckpt2hf.verify.rounding import mean_kl, measure_rounding
from ckpt2hf.verify.weights import load_slots


def readings(spec: Any) -> dict[str, Any]:
    return {
        "right": spec,
        "tanh": dataclasses.replace(spec, activation=Activation.GELU_TANH),
        "relu": dataclasses.replace(spec, activation=Activation.RELU),
        "scale": dataclasses.replace(spec, attention_scale=Factor("d_model**-0.5")),
        "eps": dataclasses.replace(spec, norm_eps=1e-6),
        "heads": support.resized(spec, heads=6, head_dim=4),
    }


def oracle(kit: Any, spec: Any, weights: Any, dtype: Any = torch.float64) -> tuple[Any, Any]:
    tokens = np.random.default_rng(2).integers(0, spec.vocab, (2, spec.context))
    logits = reference(spec, load_slots(kit.held(weights), dtype), torch.from_numpy(tokens))
    return logits.numpy(), tokens


@pytest.mark.parametrize("answer", ["right", "tanh", "relu", "scale", "eps", "heads"])
@pytest.mark.parametrize(("loud", "dtype"), [(True, torch.float32), (True, torch.float64), (False, torch.float64)])
def test_the_right_reading_wins(kit: Any, answer: str, dtype: torch.dtype, *, loud: bool) -> None:
    weights = kit.draw(kit.spec, loud=loud)
    specs = readings(kit.spec)
    logits, tokens = oracle(kit, specs[answer], weights, dtype)
    decision = decide({name: (spec, kit.held(weights)) for name, spec in specs.items()}, logits, tokens)
    assert decision.winner == answer
    assert decision.fitting[0] == answer
    assert not decision.fits[answer].shifted


def test_log_probabilities_decide_as_well_and_it_is_said(kit: Any) -> None:
    weights = kit.draw(kit.spec)
    logits, tokens = oracle(kit, kit.spec, weights)
    logs = torch.from_numpy(logits).log_softmax(-1).numpy()
    decision = decide({n: (s, kit.held(weights)) for n, s in readings(kit.spec).items()}, logs, tokens)
    assert decision.winner == "right"
    assert decision.fits["right"].shifted


def test_none_and_several_are_answers(kit: Any) -> None:
    weights = kit.draw(kit.spec)
    logits, tokens = oracle(kit, kit.spec, weights)
    wrong = {n: (s, kit.held(weights)) for n, s in readings(kit.spec).items() if n != "right"}
    assert decide(wrong, logits, tokens).winner is None
    assert decide(wrong, logits, tokens).fitting == ()
    twice = {name: (kit.spec, kit.held(weights)) for name in ("one", "other")}
    assert decide(twice, logits, tokens).winner is None
    assert set(decide(twice, logits, tokens).fitting) == {"one", "other"}
    assert decide(twice, logits[..., :-1], tokens).fitting == ()
    assert decide(twice, logits * np.nan, tokens).fitting == ()


def test_rounding_is_measured_and_a_wrong_rewrite_is_not_mistaken_for_it(kit: Any) -> None:
    weights = kit.draw(kit.spec)
    rounded = {name: torch.from_numpy(array).bfloat16().float().numpy() for name, array in weights.items()}
    source = (kit.spec, kit.held(weights))
    price = measure_rounding(source, source, kit.held(rounded))
    assert price.passed
    assert 1e-4 < price.numbers["max_abs"] < 1
    assert 0 < price.numbers["mean_kl"] < 1e-2
    assert 0.9 < price.numbers["top1_agreement"] <= 1
    free = measure_rounding(source, source, kit.held(weights))
    assert (free.numbers["max_abs"], free.numbers["mean_kl"]) == (0, 0)
    tanh = (dataclasses.replace(kit.spec, activation=Activation.GELU_TANH), kit.held(weights))
    assert not measure_rounding(source, tanh, kit.held(rounded)).passed


def test_divergence_of_two_distributions() -> None:
    p, q = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.9, 0.1]]).log()
    assert mean_kl(p, q) == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))
    assert mean_kl(p, p + 3) == pytest.approx(0)
