"""Whole pickled models whose classes are gone: their modules say what a state_dict hides, and nothing is imported."""

from __future__ import annotations

from typing import Any

import pytest

from ckpt2hf.api import Request, plan
from ckpt2hf.errors import FactsError

SCALE = ("attention_scale=head_dim**-0.5",)


def test_a_pickled_lecture_model_says_its_activation(pickled: Any, proved: Any) -> None:
    path, model = pickled(lambda module: module.loud(module.Lecture(activation="relu")))
    report = proved(path, model, dialect="karpathy-lecture", facts=SCALE)
    activation = next(fact for fact in report.facts if fact.field == "activation")
    assert (activation.value, activation.origin) == ("relu", "module")
    assert activation.where == "blocks.0.ffwd.net.1 is a torch.nn.modules.activation.ReLU"


@pytest.mark.parametrize(("activation", "dialect"), [("gelu", "karpathy-lecture"), ("relu", "az-course")])
def test_the_activation_module_contradicts_the_wrong_dialect(activation: str, dialect: str, pickled: Any) -> None:
    path, _ = pickled(lambda module: module.loud(module.Lecture(activation=activation)))
    with pytest.raises(FactsError, match="contradict") as refused:
        plan(Request(source=path, dialect=dialect, facts=SCALE))
    assert f"activation = {activation} (module: blocks.0.ffwd.net.1" in str(refused.value)


@pytest.mark.parametrize(("activation", "dialect"), [("gelu", "az-course"), ("relu", "karpathy-lecture")])
def test_the_activation_module_decides_between_dialects(activation: str, dialect: str, pickled: Any) -> None:
    path, _ = pickled(lambda module: module.loud(module.Lecture(activation=activation)))
    made = plan(Request(source=path, facts=(*SCALE, "norm_placement=pre")))
    assert made.candidate.fit.dialect.id == dialect
    assert made.spec.activation.value == activation


@pytest.mark.parametrize("said", ["gelu", "silu"])
def test_the_user_cannot_contradict_the_activation_module(said: str, pickled: Any) -> None:
    path, _ = pickled(lambda module: module.loud(module.Lecture(activation="relu")))
    with pytest.raises(FactsError, match="contradict"):
        plan(Request(source=path, dialect="karpathy-lecture", facts=(*SCALE, f"activation={said}")))


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
def test_a_pickled_nanogpt_says_its_heads_its_gelu_and_its_eps(activation: str, pickled: Any, proved: Any) -> None:
    path, model = pickled(lambda module: module.loud(module.Fused(activation, heads=4)))
    report = proved(path, model, dialect="nanogpt")
    facts = {fact.field: fact for fact in report.facts}
    assert (facts["heads"].value, facts["heads"].origin) == (4, "module")
    assert (facts["activation"].value, facts["activation"].origin) == (activation, "module")
    assert (facts["norm_eps"].value, facts["norm_eps"].origin) == (1e-5, "module")


def test_an_eps_of_the_module_contradicts_the_dialect_s(pickled: Any) -> None:
    def make(module: Any) -> Any:
        model = module.loud(module.Fused())
        for part in model.modules():
            if hasattr(part, "eps"):
                part.eps = 1e-6
        return model

    path, _ = pickled(make)
    with pytest.raises(FactsError, match="norm_eps = 1e-06"):
        plan(Request(source=path, dialect="nanogpt"))


def test_a_pickled_mingpt_of_2020_needs_no_flag_at_all(pickled: Any, proved: Any) -> None:
    path, model = pickled(lambda module: module.loud(module.Apart(heads=2)))
    report = proved(path, model)
    assert report.dialect.id == "mingpt"
    assert report.spec["heads"] == 2
