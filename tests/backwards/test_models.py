"""Models that transformers makes and saves, loaded strictly by other people's code: it computes the same logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from ckpt2hf.api import Level, Request, Writing, convert
from module_file import load_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import BackReport

    Back = Callable[..., tuple[Path, BackReport]]
    Saved = Callable[..., tuple[Path, Any]]

NOISE = 2e-5
"""Largest float32 difference of two right implementations at these sizes, in the logits' own unit (measured: 3e-6)."""
SMALL = {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 16, "vocab_size": 40}
"""The sizes of tests/dialects/models.py."""
LLAMA = {
    "vocab_size": 53, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2,
    "intermediate_size": 72, "max_position_embeddings": 20, "rms_norm_eps": 1e-5,
}  # fmt: skip


@pytest.fixture(scope="module")
def llamas() -> Any:
    return load_module(Path(__file__).with_name("llama_models.py"), "small_llamas")


def same(one: Any, other: Any, vocab: int, time: int) -> None:
    tokens = torch.randint(vocab, (2, time), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, wanted = one(tokens), other(tokens).logits
    found = found[0] if isinstance(found, tuple) else found
    assert float((found - wanted).abs().max()) <= NOISE
    assert float(wanted.std()) > 0.1


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("activation", "name"), [("gelu", "gelu"), ("gelu_new", "gelu_tanh")])
def test_nanogpt(bias: bool, activation: str, name: str, models: Any, saved: Saved, back: Back) -> None:
    zero = () if bias else ("bias",)
    directory, theirs = saved(GPT2LMHeadModel, GPT2Config(**SMALL, activation_function=activation), zero=zero)
    file, report = back(directory, "nanogpt", level=Level.LOGITS)
    tree = torch.load(file, weights_only=True)
    model = models.Fused(name, heads=tree["model_args"]["n_head"], bias=tree["model_args"]["bias"]).eval()
    assert tree["model_args"]["bias"] is bias
    assert report.answers == {"activation": name}
    model.load_state_dict(tree["model"], strict=True)
    same(model, theirs, 40, 16)


def test_nanogpt_resumes(models: Any, saved: Saved, back: Back) -> None:
    """What `init_from = "resume"` of its train.py does with the file. Source: karpathy/nanoGPT@3adf61e train.py."""
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL, activation_function="gelu"))
    file, _ = back(directory, "nanogpt")
    checkpoint = torch.load(file, weights_only=True)
    args = checkpoint["model_args"]
    assert {k: args[k] for k in ("n_layer", "n_head", "n_embd", "block_size", "bias", "vocab_size")} == {
        "n_layer": 2, "n_head": 3, "n_embd": 24, "block_size": 16, "bias": True, "vocab_size": 40,
    }  # fmt: skip
    model = models.Fused("gelu", heads=3).train()
    model.load_state_dict(checkpoint["model"])
    groups = [[p for p in model.parameters() if p.dim() >= 2], [p for p in model.parameters() if p.dim() < 2]]
    optimizer = torch.optim.AdamW(
        [{"params": groups[0], "weight_decay": 0.1}, {"params": groups[1], "weight_decay": 0.0}], lr=1e-3
    )
    optimizer.load_state_dict(checkpoint["optimizer"])
    assert (checkpoint["iter_num"], checkpoint["best_val_loss"]) == (0, 1e9)
    before = model.transformer.wte.weight.detach().clone()
    model(torch.randint(40, (2, 16)))[0].square().mean().backward()
    optimizer.step()
    assert not torch.equal(before, model.transformer.wte.weight)


def test_mingpt_with_its_mask(models: Any, saved: Saved, back: Back) -> None:
    directory, theirs = saved(GPT2LMHeadModel, GPT2Config(**SMALL, tie_word_embeddings=False))
    file, report = back(directory, "mingpt")
    model = models.Fused("gelu_tanh", heads=3, tied=False, mask=True).eval()
    model.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert report.layout.startswith("GPT since July 2022")
    assert report.made == ("transformer.h.0.attn.bias", "transformer.h.1.attn.bias")
    same(model, theirs, 40, 16)


@pytest.mark.parametrize("tied", [True, False])
def test_mingpt_of_2020(tied: bool, models: Any, saved: Saved, back: Back) -> None:
    """Its head is a matrix of its own, which takes a tied one's numbers as well."""
    config = GPT2Config(**SMALL, activation_function="gelu", tie_word_embeddings=tied)
    directory, theirs = saved(GPT2LMHeadModel, config)
    file, _ = back(directory, "mingpt")
    model = models.Apart(heads=3).eval()
    model.load_state_dict(torch.load(file, weights_only=True), strict=True)
    same(model, theirs, 40, 16)


@pytest.mark.parametrize(("dialect", "activation"), [("az-course", "gelu"), ("karpathy-lecture", "relu")])
def test_one_module_for_each_head(dialect: str, activation: str, models: Any, saved: Saved, back: Back) -> None:
    """A head bias of zero and a mask for each head are added; a bias of zero that no such head has is left out."""
    config = GPT2Config(**SMALL, activation_function=activation)
    directory, theirs = saved(GPT2LMHeadModel, config, zero=("c_attn.bias",))
    file, report = back(directory, dialect)
    model = models.Lecture(activation, heads=3).eval()
    model.load_state_dict(torch.load(file, weights_only=True), strict=True)
    assert [made.id for made in report.rewrites] == ["zeros left out: bias of the attention input", "zero head bias"]
    same(model, theirs, 40, 16)


@pytest.mark.parametrize("kv_heads", [2, 6])
def test_llama2c(kv_heads: int, llamas: Any, saved: Saved, back: Back) -> None:
    config = LlamaConfig(**{**LLAMA, "num_key_value_heads": kv_heads}, tie_word_embeddings=True)
    directory, theirs = saved(LlamaForCausalLM, config)
    file, report = back(directory, "llama2c", level=Level.LOGITS)
    tree = torch.load(file, weights_only=True)
    model = llamas.Transformer(tree["model_args"]).eval()
    model.load_state_dict(tree["model"], strict=True)
    assert [made.id for made in report.rewrites] == ["RoPE from halves to pairs"]
    same(model, theirs, 53, 20)


@pytest.mark.parametrize(
    ("kind", "config", "dialect", "facts"),
    [
        (GPT2LMHeadModel, GPT2Config(**SMALL, activation_function="gelu"), "nanogpt", ("activation=gelu",)),
        (GPT2LMHeadModel, GPT2Config(**SMALL), "build-nanogpt", ()),
        (GPT2LMHeadModel, GPT2Config(**SMALL, tie_word_embeddings=False), "mingpt", ("heads=3",)),
        (LlamaForCausalLM, LlamaConfig(**LLAMA, tie_word_embeddings=True), "llama2c", ()),
        (LlamaForCausalLM, LlamaConfig(**LLAMA, rope_theta=5e5), "rasbt-llama3",
         ("heads=6", "context=20", "rope_theta=500000", "rope_scaling=none")),
        (LlamaForCausalLM, LlamaConfig(**LLAMA, rope_theta=1e6, tie_word_embeddings=True), "minimind",
         ("heads=6", "context=20", "rope_theta=1e6")),
        (Qwen3ForCausalLM, Qwen3Config(**{**LLAMA, "rms_norm_eps": 1e-6}, head_dim=8, rope_theta=1e6), "rasbt-qwen3",
         ("context=20",)),
        (Qwen3ForCausalLM, Qwen3Config(**{**LLAMA, "rms_norm_eps": 1e-6}, head_dim=8, rope_theta=1e6,
                                       tie_word_embeddings=True), "minimind", ("context=20",)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_directory_to_file_to_directory(
    kind: Any, config: Any, dialect: str, facts: tuple[str, ...], saved: Saved, back: Back, tmp_path: Path
) -> None:
    directory, _ = saved(kind, config)
    layout = "April 2025 to March 2026" if kind is LlamaForCausalLM and dialect == "minimind" else None
    file, report = back(directory, dialect, level=Level.LOGITS, layout=layout)
    assert report.exactness == "bitwise"
    out = tmp_path / "again"
    made = convert(Request(source=file, dialect=dialect, facts=facts), Writing(out=out, level=Level.LOGITS))
    assert made.verdict.proved
    one, other = (load_file(each / "model.safetensors") for each in (directory, out))
    assert one.keys() == other.keys()
    assert all(torch.equal(part, other[name]) for name, part in one.items())


@pytest.mark.parametrize("options", [{"safe_serialization": False}, {"max_shard_size": "20KB"}], ids=["bin", "shards"])
def test_other_weight_files_give_the_same_checkpoint(options: dict[str, Any], saved: Saved, back: Back) -> None:
    directory, model = saved(GPT2LMHeadModel, GPT2Config(**SMALL))
    whole = back(directory, "build-nanogpt")[0].read_bytes()
    for path in directory.glob("model*"):
        path.unlink()
    model.save_pretrained(directory, **options)
    assert not (directory / "model.safetensors").exists()
    file, _ = back(directory, "build-nanogpt", level=Level.LOGITS)
    assert file.read_bytes() == whole


def test_names_without_their_first_component_and_old_masks(saved: Saved, back: Back) -> None:
    """As OpenAI's own weights lie on the hub: `h.0.attn.bias` is a mask, and nothing begins with `transformer.`."""
    directory, _ = saved(GPT2LMHeadModel, GPT2Config(**SMALL))
    whole = back(directory, "build-nanogpt")[0].read_bytes()
    path = directory / "model.safetensors"
    old = {name.removeprefix("transformer."): part for name, part in load_file(path).items()}
    old |= {f"h.{i}.attn.bias": torch.ones(16, 16).tril().view(1, 1, 16, 16) for i in range(2)}
    old |= {f"h.{i}.attn.masked_bias": torch.tensor(-1e4) for i in range(2)}
    save_file(old, path, metadata={"format": "pt"})
    file, report = back(directory, "build-nanogpt", level=Level.LOGITS)
    assert file.read_bytes() == whole
    assert {left.why for left in report.left_out} == {"a causal mask", "a masked score"}


def test_a_configuration_of_transformers_5(saved: Saved, back: Back) -> None:
    directory, _ = saved(LlamaForCausalLM, LlamaConfig(**LLAMA, tie_word_embeddings=True))
    whole = back(directory, "llama2c")[0].read_bytes()
    path = directory / "config.json"
    config = json.loads(path.read_text())
    config["rope_parameters"] = {"rope_theta": config.pop("rope_theta"), "rope_type": "default"}
    config["dtype"] = config.pop("torch_dtype", config.get("dtype"))
    del config["rope_scaling"]
    path.write_text(json.dumps(config))
    assert back(directory, "llama2c")[0].read_bytes() == whole
