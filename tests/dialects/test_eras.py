"""Every generation of the codebases, saved as it saved: converted end to end, or asked about."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from accelerate import Accelerator

from ckpt2hf.api import Request, Writing, convert, plan
from ckpt2hf.errors import FactsError, MappingError

if TYPE_CHECKING:
    from pathlib import Path


def nanogpt(models: Any, model: Any, **more: Any) -> dict[str, Any]:
    """The dictionary nanoGPT's train.py saves."""
    sizes = {"n_layer": models.LAYERS, "n_head": 3, "n_embd": models.WIDTH, "block_size": models.TIME}
    args = {**sizes, "vocab_size": models.VOCAB, "dropout": 0.0, **more.pop("args", {})}
    return {"model": model.state_dict(), "optimizer": {}, "model_args": args, "iter_num": 5, **more}


def test_nanogpt_of_december_2022_is_untied_and_tanh(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused("gelu_tanh", tied=False, mask=True))
    report = proved(saved(nanogpt(models, model)), model)
    facts = {fact.field: fact for fact in report.facts}
    assert (facts["tied"].value, facts["activation"].value) == (False, "gelu_tanh")
    assert facts["activation"].origin == "dialect"
    assert "2023-01-27" in facts["activation"].where
    assert report.exactness == "bitwise"


def test_nanogpt_of_january_2023_is_tied_and_tanh(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused("gelu_tanh", mask=True))
    report = proved(saved(nanogpt(models, model, config={"batch_size": 12})), model)
    assert report.spec["tied"]
    assert report.spec["activation"] == "gelu_tanh"
    assert sum("causal mask" in left.why for left in report.left_out) == models.LAYERS


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("mask", [True, False])
def test_nanogpt_with_a_bias_option_is_asked_about(
    activation: str, models: Any, saved: Any, proved: Any, *, bias: bool, mask: bool
) -> None:
    """Between 2023-01-27 and 2023-05-17 the option was there and GELU was still tanh: the file cannot tell."""
    model = models.loud(models.Fused(activation, bias=bias, mask=mask))
    path = saved(nanogpt(models, model, args={"bias": bias}, config={}))
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    assert "2023-05-17" in str(refused.value)
    assert "--set activation=gelu|--set activation=gelu_tanh" in str(refused.value)
    report = proved(path, model, facts=(f"activation={activation}",))
    assert report.dialect.id == "nanogpt"
    assert [rewrite.exactness for rewrite in report.rewrites] == ["bitwise"] * (0 if bias else 4)


def test_nanogpt_compiled_in_ddp_loses_its_prefixes(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused(bias=False))
    content = nanogpt(models, model, args={"bias": False})
    content["model"] = {f"module._orig_mod.{name}": value for name, value in content["model"].items()}
    report = proved(saved(content), model, facts=("activation=gelu",))
    assert list(report.source.prefixes) == ["module.", "_orig_mod."]


def test_build_nanogpt_without_its_config_is_refused_with_flags(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused("gelu_tanh"))
    path = saved(model.state_dict())
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    said = str(refused.value)
    assert "--dialect build-nanogpt --set heads=N" in said
    assert "--dialect nanogpt" in said
    proved(path, model, dialect="build-nanogpt", facts=("heads=3",))
    proved(path, model, dialect="nanogpt", facts=("heads=3", "activation=gelu_tanh"))


@pytest.mark.parametrize("heads", [2, 3, 4])
def test_mingpt_since_2022(heads: int, models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused("gelu_tanh", heads, tied=False, mask=True))
    path = saved(model.state_dict())
    with pytest.raises(FactsError, match="--dialect mingpt"):
        plan(Request(source=path))
    proved(path, model, dialect="mingpt", facts=(f"heads={heads}",))


def test_mingpt_s_chargpt_writes_a_config_beside_it(models: Any, saved: Any, proved: Any) -> None:
    """GPT.__init__ fills in n_head from model_type, but config.json was written before: `n_head` is null there."""
    model = models.loud(models.Fused("gelu_tanh", 6, tied=False, mask=True))
    path = saved(model.state_dict(), "model.pt")
    settings = {"model_type": "gpt-mini", "n_layer": None, "n_head": None, "n_embd": None}
    sizes = {"vocab_size": models.VOCAB, "block_size": models.TIME}
    (path.parent / "config.json").write_text(json.dumps({"system": {}, "model": {**settings, **sizes}}), "utf-8")
    report = proved(path, model, dialect="mingpt")
    heads = next(fact for fact in report.facts if fact.field == "heads")
    assert (heads.value, heads.origin, heads.where) == (6, "side file", "config.json: model.model_type")


def test_mingpt_of_2020_has_positions_in_a_parameter(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Apart())
    assert model.pos_emb.shape == (1, models.TIME, models.WIDTH)
    path = saved(model.state_dict())
    with pytest.raises(FactsError, match="--set heads=N"):
        plan(Request(source=path))
    report = proved(path, model, facts=("heads=3",))  # only minGPT saves these names: it need not be named
    assert report.dialect.id == "mingpt"
    assert report.spec["activation"] == "gelu"
    assert report.exactness == "bitwise"


def test_the_az_course_s_first_version(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused(bias=False, norm_bias=True, tied=False, mask=True, twice=True))
    path = saved(model.state_dict())
    report = proved(path, model, facts=("heads=3",))
    assert report.dialect.id == "az-course"
    assert {left.name for left in report.left_out} >= {"transformer.h.0.mlp_forward.0.weight"}
    assert any("shares storage" in left.why for left in report.left_out)


def test_the_az_course_s_first_version_through_accelerate(
    models: Any, proved: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """safetensors keeps one name of each shared pair, so what marks the codebase is gone and it has to be named."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    model = models.loud(models.Fused(bias=False, norm_bias=True, tied=False, mask=True, twice=True))
    Accelerator(cpu=True).save_model(model, tmp_path / "state")
    files = list((tmp_path / "state").iterdir())
    assert [file.name for file in files] == ["model.safetensors"]
    with pytest.raises(FactsError, match="--dialect az-course"):
        plan(Request(source=tmp_path / "state"))
    proved(tmp_path / "state", model, dialect="az-course", facts=("heads=3",))


def test_mlp_forward_that_differs_from_the_mlp_is_refused(models: Any, saved: Any, proved: Any) -> None:
    model = models.loud(models.Fused(bias=False, norm_bias=True, tied=False, mask=True, twice=True))
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    proved(saved(state), model, facts=("heads=3",))  # equal, though not shared
    state["transformer.h.1.mlp_forward.2.weight"][0, 0] += 1e-3
    path = saved(state)
    with pytest.raises(MappingError, match="may not be left out") as refused:
        convert(Request(source=path, facts=("heads=3",)), Writing(out=path.parent / "out"))
    assert "transformer.h.1.mlp_forward.2.weight  differs" in str(refused.value)
    assert not (path.parent / "out").exists()


def test_weights_of_half_the_width_keep_their_type(models: Any, saved: Any) -> None:
    model = models.loud(models.Fused("gelu_tanh")).to(torch.bfloat16)
    made = plan(Request(source=saved(nanogpt(models, model))))
    assert made.config["torch_dtype"] == "bfloat16"
    assert {tensor.meta.dtype.torch_name for tensor in made.tensors.values()} == {"bfloat16"}
