"""What a training code cannot hold is refused by name, and nothing is ever silently another function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Olmo3Config, Olmo3ForCausalLM

from ckpt2hf.api import BackRequest, BackWriting, Level, convert_back, dialect, dialect_text, plan_back
from ckpt2hf.errors import (
    Ckpt2hfError,
    FactsError,
    HealthError,
    MappingError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Saved = Callable[..., tuple[Path, Any]]

SMALL = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 16, "vocab_size": 40}
LLAMA = {
    "vocab_size": 53, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2,
    "intermediate_size": 72, "max_position_embeddings": 20, "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ({"activation_function": "relu"}, "nanogpt", "activation is relu; here it is gelu"),
        ({"activation_function": "gelu"}, "build-nanogpt", "activation is gelu; here it is gelu_tanh"),
        ({"tie_word_embeddings": False}, "nanogpt", "lm_head.weight and transformer.wte.weight are one tensor"),
        ({"tie_word_embeddings": True}, "mingpt", "GPT.__init__ makes lm_head and wte apart"),
        ({"layer_norm_epsilon": 1e-6}, "nanogpt", "norm_eps is 1e-06; here it is 1e-05"),
        ({"n_inner": 50}, "nanogpt", "d_ff is 50; this code always has 96"),
        ({"activation_function": "gelu"}, "az-course", "qkv_bias is true; this code always has false"),
        ({}, "llama2c", "norm is layernorm; here it is rmsnorm"),
        ({}, "rasbt-qwen3", "there is no name for positions.weight"),
    ],
)
def test_a_gpt2_that_a_code_cannot_hold(options: dict[str, Any], code: str, said: str, saved: Saved) -> None:
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**{**SMALL, **options}))
    with pytest.raises(UnsupportedError) as refused:
        plan_back(BackRequest(source=directory, dialect=code))
    assert said in str(refused.value)
    assert refused.value.remedies


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rope_theta": 5e5}, "rope_theta is 500000.0; here it is 10000.0"),
        ({"rms_norm_eps": 1e-6}, "norm_eps is 1e-06; here it is 1e-05"),
        ({"attention_bias": True}, "qkv_bias is true; here it is false"),
        ({"hidden_act": "gelu"}, "activation is gelu; here it is silu"),
        ({"tie_word_embeddings": False}, "output.weight and tok_embeddings.weight are one tensor"),
        ({"head_dim": 8}, "head_dim is 8; here it is 4"),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, "rope_scaling is linear:2; here it is none"),
    ],
)
def test_a_llama_that_llama2c_cannot_hold(options: dict[str, Any], said: str, saved: Saved) -> None:
    directory, _ = saved(LlamaForCausalLM, LlamaConfig(**{**LLAMA, **options}))
    with pytest.raises(UnsupportedError) as refused:
        plan_back(BackRequest(source=directory, dialect="llama2c"))
    assert said in str(refused.value)


def test_an_olmo3_is_asked_about_where_releases_of_transformers_differ(saved: Saved) -> None:
    options = {**LLAMA, "num_hidden_layers": 4, "rms_norm_eps": 1e-6, "sliding_window": 5, "rope_theta": 12345.0}
    directory, _ = saved(Olmo3ForCausalLM, Olmo3Config(**options))

    def bases(*facts: str) -> tuple[float, float]:
        request = BackRequest(source=directory, dialect="rasbt-olmo3", facts=("rope_theta=12345", *facts))
        spec = plan_back(request).spec
        return spec.rope_theta, spec.rope_local_theta

    assert bases() == (12345.0, 12345.0)
    said = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    del said["transformers_version"]
    (directory / "config.json").write_text(json.dumps(said), encoding="utf-8")
    with pytest.raises(FactsError, match="releases of transformers read") as refused:
        bases()
    four, five = (remedy.removeprefix("--set ").partition(" ")[0] for remedy in refused.value.remedies)
    assert bases(four) == (12345.0, 12345.0)
    with pytest.raises(FactsError, match="impossible model"):  # two bases, which transformers 4 cannot compute
        bases(five)


def test_a_bias_that_is_not_zero_is_never_left_out(saved: Saved) -> None:
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL, activation_function="gelu"), zero=("c_attn.bias",))
    plan_back(BackRequest(source=directory, dialect="az-course", layout="days 13"))
    path = directory / "model.safetensors"
    weights = load_file(path)
    weights["transformer.h.1.attn.c_attn.bias"][7] = 1e-30
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(UnsupportedError, match="qkv_bias is true"):
        plan_back(BackRequest(source=directory, dialect="az-course", layout="days 13"))


def test_the_user_says_what_the_code_is(saved: Saved) -> None:
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL))
    plan_back(BackRequest(source=directory, dialect="nanogpt", facts=("activation=gelu_tanh",)))
    for said in ("activation=gelu", "heads=4", "norm_eps=1e-6"):
        with pytest.raises(UnsupportedError, match=said.partition("=")[0]):
            plan_back(BackRequest(source=directory, dialect="nanogpt", facts=(said,)))
    with pytest.raises(UsageError, match="no place for bos_token_id"):
        plan_back(BackRequest(source=directory, dialect="nanogpt", facts=("bos_token_id=1",)))


def test_zero_biases_stay_where_the_user_wants_them(saved: Saved) -> None:
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL), zero=("bias",))
    without = plan_back(BackRequest(source=directory, dialect="nanogpt"))
    kept = plan_back(BackRequest(source=directory, dialect="nanogpt", facts=("mlp_bias=true",)))
    assert not [name for name in without.tensors if name.endswith("bias")]
    assert len([name for name in kept.tensors if name.endswith("bias")]) == 2 * 6 + 1
    assert not kept.rewrites


def test_generations_of_a_code_are_asked_for(saved: Saved) -> None:
    directory, _ = saved(LlamaForCausalLM, LlamaConfig(**{**LLAMA, "rope_theta": 1e6}))
    with pytest.raises(FactsError, match="2 layouts of minimind can hold this model") as refused:
        plan_back(BackRequest(source=directory, dialect="minimind"))
    assert len(refused.value.remedies) == 2
    for remedy in refused.value.remedies:
        title = remedy.partition("--to-layout ")[2].strip("\"'")
        assert plan_back(BackRequest(source=directory, dialect="minimind", layout=title)).layout.title == title
    with pytest.raises(FactsError, match="has no layout 'chapter 9'"):
        plan_back(BackRequest(source=directory, dialect="minimind", layout="chapter 9"))


def test_directories_that_are_none(saved: Saved, tmp_path: Path) -> None:
    def refused(source: Path) -> Ckpt2hfError:
        with pytest.raises(Ckpt2hfError) as error:
            plan_back(BackRequest(source=source, dialect="nanogpt"))
        return error.value

    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL))
    assert isinstance(refused(tmp_path / "nowhere"), NotFoundError)
    assert "is not a directory" in str(refused(directory / "model.safetensors"))
    (directory / "model.safetensors").rename(tmp_path / "away")
    assert "holds neither model.safetensors nor pytorch_model.bin" in str(refused(directory))
    (tmp_path / "away").rename(directory / "model.safetensors")
    config = (directory / "config.json").read_text()
    for wrong, said in (
        ({"architectures": ["GPT2Model"]}, "GPT2Model, which is not known here"),
        ({"architectures": ["MistralForCausalLM"], "model_type": "mistral"}, "MistralForCausalLM"),
        ({"n_layer": 3}, "missing   transformer.h.2.ln_1.bias"),
        ({"n_layer": 1}, "unmapped  transformer.h.1"),
        ({"n_embd": 23, "n_head": 1}, "gives embed.weight [40, 24], the model needs [40, 23]"),
        ({"tie_word_embeddings": False}, "missing   lm_head.weight"),
        ({"layer_norm_epsilon": 2.0}, "layer_norm_epsilon is 2.0: norm_eps takes a number between 0 and 1"),
    ):
        (directory / "config.json").write_text(json.dumps({**json.loads(config), **wrong}))
        assert said in str(refused(directory)), wrong
    (directory / "config.json").write_text("{")
    assert "not JSON" in str(refused(directory))
    (directory / "config.json").unlink()
    assert "holds no config.json" in str(refused(directory))


def test_a_second_name_that_differs_is_refused(saved: Saved, tmp_path: Path) -> None:
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL, activation_function="gelu"))
    path = directory / "model.safetensors"
    weights = load_file(path)
    weights["lm_head.weight"] = weights["transformer.wte.weight"] + 1
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(MappingError, match="may not be left out"):
        convert_back(BackRequest(source=directory, dialect="nanogpt"), BackWriting(out=tmp_path / "ckpt.pt"))
    assert not (tmp_path / "ckpt.pt").exists()


def test_nan_is_refused_unless_it_is_allowed(saved: Saved, tmp_path: Path) -> None:
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL, activation_function="gelu"))
    path = directory / "model.safetensors"
    weights = load_file(path)
    weights["transformer.h.0.mlp.c_fc.weight"][3, 4] = torch.nan
    save_file(weights, path, metadata={"format": "pt"})
    asked, out = BackRequest(source=directory, dialect="nanogpt"), tmp_path / "ckpt.pt"
    with pytest.raises(HealthError):
        convert_back(asked, BackWriting(out=out, level=Level.BYTES))
    assert not out.exists()
    assert convert_back(asked, BackWriting(out=out, level=Level.BYTES, allow_nonfinite=True)).verdict.proved


@pytest.mark.parametrize(
    ("line", "wrong", "said"),
    [
        ('{ fact = "layers" }', '{ fact = "layer" }', "there is no fact layer; did you mean layers?"),
        ('{ fact = "layers" }', '{ fact = "layers", const = 2 }', "a field is exactly one of fact, const"),
        ('d_ff = "four_widths"', "d_fff = 3", "there is no fact d_fff"),
        ('d_ff = "four_widths"', 'd_ff = "five_widths"', "d_ff takes a whole number"),
        ("betas = [0.9, 0.95]", "betas = [0.9]", "takes one item more"),
        ('weights = "model"', "weights = 3", "takes text in quotes, not 3"),
        ("write = false", 'write = false\nshape = ["ones"]', "there is no length ones"),
        ("write = false", 'write = false\ndtype = "float33"', "there is no type float33"),
    ],
)
def test_a_dialect_file_whose_save_makes_no_sense(line: str, wrong: str, said: str, tmp_path: Path) -> None:
    text = dialect_text("nanogpt")
    assert line in text
    mine = tmp_path / "mine.toml"
    mine.write_text(text.replace(line, wrong, 1))
    with pytest.raises(UsageError) as refused:
        dialect(mine)
    assert said in str(refused.value)
    number = next(k for k, each in enumerate(mine.read_text().splitlines(), 1) if wrong.splitlines()[-1] in each)
    assert f"mine.toml:{number}:" in str(refused.value)
