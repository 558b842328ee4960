"""compare_logits: a right directory passes, every wrong one fails and names where."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir import Activation, Factor, NormPlacement
from ckpt2hf.rewrites import Exactness
from ckpt2hf.verify.logits import compare_logits

if TYPE_CHECKING:
    from pathlib import Path

BOTH = ("safetensors", "bin")
State = dict[str, torch.Tensor]


def compare(kit: Any, directory: Path, weights: Any, spec: Any = None, formats: Any = BOTH, **more: Any) -> Any:
    return compare_logits(
        directory, formats, spec=spec or kit.spec, slots=kit.held(weights), modules=kit.modules, **more
    )


def failed(checks: Any) -> list[str]:
    return [check.name for check in checks if not check.passed]


@pytest.mark.parametrize("loud", [True, False])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("activation", list(Activation))
def test_a_right_directory_passes(kit: Any, tmp_path: Path, *, loud: bool, tied: bool, activation: Activation) -> None:
    spec = dataclasses.replace(kit.spec, tied=tied, activation=activation)
    weights = kit.draw(spec, loud=loud)
    directory = kit.write(tmp_path, kit.config(spec), kit.state(spec, weights))
    lines: list[str] = []
    checks = compare(kit, directory, weights, spec, progress=lines.append)
    assert failed(checks) == []
    assert [check.name for check in checks] == [
        "loads model.safetensors",
        "float32 logits",
        "float64 logits",
        "greedy generation",
        "loads pytorch_model.bin",
        "model.safetensors and pytorch_model.bin agree",
    ]
    float32, float64 = checks[1].numbers, checks[2].numbers
    assert float32["max_abs"] <= 8e-6 * float32["scale"]
    assert float64["max_abs"] <= 1e-13 * float64["scale"]
    assert float32["tokens"] == 60
    assert lines


def test_what_transformers_saves_passes_and_its_settings_are_left_as_they_were(kit: Any, tmp_path: Path) -> None:
    weights = kit.draw(kit.spec)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config.from_dict(kit.config(kit.spec)))
    model.load_state_dict(kit.state(kit.spec, weights))
    model.generation_config = transformers.GenerationConfig(do_sample=True, temperature=3.0, eos_token_id=5)
    model.save_pretrained(tmp_path)
    before = transformers.utils.logging.get_verbosity()
    assert failed(compare(kit, tmp_path, weights, formats=("safetensors",))) == []
    assert transformers.utils.logging.get_verbosity() == before
    assert transformers.utils.logging.is_progress_bar_enabled()


@pytest.mark.parametrize("context", [1, 2, 7])
def test_a_tiny_context_is_no_obstacle(kit: Any, tmp_path: Path, context: int) -> None:
    spec = dataclasses.replace(kit.spec, context=context)
    weights = kit.draw(spec)
    assert failed(compare(kit, kit.write(tmp_path, kit.config(spec), kit.state(spec, weights)), weights, spec)) == []


def test_the_last_position_is_asked_even_where_a_full_context_is_too_dear(
    kit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ckpt2hf.verify.effort.AFFORDABLE", 0)
    monkeypatch.setattr("ckpt2hf.verify.effort.SHORT", 6)
    weights = kit.draw(kit.spec)
    state = kit.state(kit.spec, weights)
    directory = kit.write(tmp_path, kit.config(kit.spec), state)
    assert failed(compare(kit, directory, weights)) == []
    state["transformer.wpe.weight"][-1, 0] += 0.01
    kit.write(tmp_path, kit.config(kit.spec), state)
    assert "float32 logits" in failed(compare(kit, directory, weights))


def head_bias_folded(spec: Any, weights: Any, state: State) -> State:
    """The head bias carried by the all-ones direction of the final norm's output."""
    w, b, g, beta = (
        weights[n].astype(np.float64) for n in ("head.weight", "head.bias", "final_norm.weight", "final_norm.bias")
    )
    scaled = w * g
    folded = scaled - scaled.mean(1, keepdims=True) + (w @ beta + b)[:, None] / spec.d_model
    ones = torch.ones(spec.d_model)
    return state | {
        "lm_head.weight": torch.from_numpy(folded.astype(np.float32)),
        "transformer.ln_f.weight": ones,
        "transformer.ln_f.bias": ones.clone(),
    }


@pytest.mark.parametrize("loud", [True, False])
def test_a_rewrite_passes_as_algebraic_only(kit: Any, tmp_path: Path, *, loud: bool) -> None:
    spec = dataclasses.replace(kit.spec, head_bias=True)
    weights = kit.draw(spec, loud=loud)
    directory = kit.write(tmp_path, kit.config(spec), head_bias_folded(spec, weights, kit.state(spec, weights)))
    rewritten = frozenset({"final_norm"})
    checks = compare(kit, directory, weights, spec, exactness=Exactness.ALGEBRAIC, rewritten=rewritten)
    assert failed(checks) == []
    assert failed(compare(kit, directory, weights, spec)) == ["float64 logits"]
    config = kit.config(spec) | {"layer_norm_epsilon": 1.001e-5}
    kit.write(tmp_path, config, head_bias_folded(spec, weights, kit.state(spec, weights)))
    strict = compare(kit, directory, weights, spec, exactness=Exactness.ALGEBRAIC, rewritten=rewritten)
    assert "float64 logits" in failed(strict), "before the rewritten module nothing may move at all"
    assert strict[2].numbers["first_diverging"] == "layers.0.attn"


def test_a_folded_attention_scale_passes_as_algebraic(kit: Any, tmp_path: Path) -> None:
    spec = dataclasses.replace(kit.spec, attention_scale=Factor("d_model**-0.5"))
    weights = kit.draw(spec)
    folded = dict(weights)
    for i in range(spec.layers):
        for part in ("weight", "bias"):
            folded[f"layers.{i}.attn.q.{part}"] = (weights[f"layers.{i}.attn.q.{part}"] * 3**-0.5).astype(np.float32)
    directory = kit.write(tmp_path, kit.config(spec), kit.state(spec, folded))
    checks = compare(kit, directory, weights, spec, exactness=Exactness.ALGEBRAIC)
    assert failed(checks) == []
    assert checks[2].numbers["max_abs"] > 1e-9


def test_openai_gpt_computes_a_post_norm_stack(kit: Any, tmp_path: Path) -> None:
    spec = dataclasses.replace(
        kit.spec, norm_placement=NormPlacement.POST, final_norm=False, tied=True, d_ff=96, activation=Activation.RELU
    )
    weights = kit.draw(spec)
    state = {
        name.replace(".wte.", ".tokens_embed.").replace(".wpe.", ".positions_embed."): value
        for name, value in kit.state(spec, weights).items()
        if "ln_f" not in name
    }
    config = {
        "architectures": ["OpenAIGPTLMHeadModel"],
        "model_type": "openai-gpt",
        "afn": "relu",
        **{key: kit.config(spec)[key] for key in ("n_layer", "n_head", "n_embd", "n_positions", "vocab_size")},
        "layer_norm_epsilon": spec.norm_eps,
        "tie_word_embeddings": True,
    }
    modules = {name: path for name, path in kit.modules.items() if name != "final_norm"}
    post = dataclasses.replace(kit, modules=modules)
    assert failed(compare(post, kit.write(tmp_path, config, state), weights, spec)) == []
    kit.write(tmp_path, config | {"afn": "gelu"}, state)
    assert "float64 logits" in failed(compare(post, tmp_path, weights, spec))


def test_a_module_the_class_does_not_have_is_our_bug(kit: Any, tmp_path: Path) -> None:
    weights = kit.draw(kit.spec)
    directory = kit.write(tmp_path, kit.config(kit.spec), kit.state(kit.spec, weights))
    with pytest.raises(BrokenPromiseError, match=r"no module transformer\.nowhere"):
        compare_logits(
            directory, BOTH, spec=kit.spec, slots=kit.held(weights), modules={"embed": "transformer.nowhere"}
        )


# ---- mutants: each is one mistake a converter makes ------------------------------------------------------------------

C_ATTN, OUT, UP, DOWN = "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"


def at(layer: int, name: str) -> str:
    return f"transformer.h.{layer}.{name}"


def exchange(state: State, one: str, other: str) -> None:
    state[one], state[other] = state[other].clone(), state[one].clone()


def permute_qkv(*order: int) -> Any:
    def mutate(state: State, _config: Any) -> None:
        for part in ("weight", "bias"):
            pieces = state[at(1, f"{C_ATTN}.{part}")].chunk(3, dim=-1)
            state[at(1, f"{C_ATTN}.{part}")] = torch.cat([pieces[i] for i in order], dim=-1).contiguous()

    return mutate


def untransposed(state: State, _config: Any) -> None:
    state[at(1, f"{OUT}.weight")] = state[at(1, f"{OUT}.weight")].T.contiguous()


def norms_exchanged(state: State, _config: Any) -> None:
    for part in ("weight", "bias"):
        exchange(state, at(1, f"ln_1.{part}"), at(1, f"ln_2.{part}"))


def final_norm_exchanged(state: State, _config: Any) -> None:
    for part in ("weight", "bias"):
        exchange(state, at(2, f"ln_2.{part}"), f"transformer.ln_f.{part}")


def layers_exchanged(state: State, _config: Any) -> None:
    for name in [name for name in state if name.startswith("transformer.h.1.")]:
        exchange(state, name, name.replace(".h.1.", ".h.2."))


def q_heads_rolled(state: State, _config: Any) -> None:
    for part in ("weight", "bias"):
        q, k, v = state[at(0, f"{C_ATTN}.{part}")].chunk(3, dim=-1)
        state[at(0, f"{C_ATTN}.{part}")] = torch.cat([q.roll(8, -1), k, v], dim=-1)


def out_heads_rolled(state: State, _config: Any) -> None:
    state[at(0, f"{OUT}.weight")] = state[at(0, f"{OUT}.weight")].roll(8, 0)


def heads_interleaved(state: State, _config: Any) -> None:
    for part in ("weight", "bias"):
        fused = state[at(0, f"{C_ATTN}.{part}")]
        state[at(0, f"{C_ATTN}.{part}")] = fused.unflatten(-1, (3, 3, 8)).transpose(-3, -2).flatten(-3).contiguous()


def positions_off_by_one(state: State, _config: Any) -> None:
    state["transformer.wpe.weight"] = state["transformer.wpe.weight"].roll(1, 0)


def vocabulary_shifted(state: State, _config: Any) -> None:
    state["transformer.wte.weight"] = state["transformer.wte.weight"].roll(1, 0)


def set_config(**values: Any) -> Any:
    return lambda _state, config: config.update(values)


def zeroed(name: str) -> Any:
    return lambda state, _config: state[name].zero_()


def one_element(name: str) -> Any:
    def mutate(state: State, _config: Any) -> None:
        state[name].view(-1)[state[name].numel() // 2] += 1e-3

    return mutate


def dropped(name: str) -> Any:
    return lambda state, _config: state.__delitem__(name)


def added(name: str) -> Any:
    return lambda state, _config: state.update({name: torch.zeros(3)})


def misshapen(state: State, _config: Any) -> None:
    state[at(0, f"{UP}.weight")] = state[at(0, f"{UP}.weight")].T.contiguous()


MUTANTS: dict[str, Any] = {
    "q and k exchanged": permute_qkv(1, 0, 2),
    "k and v exchanged": permute_qkv(0, 2, 1),
    "q and v exchanged": permute_qkv(2, 1, 0),
    "order k q v": permute_qkv(1, 2, 0),
    "square matrix not transposed": untransposed,
    "norms of a block exchanged": norms_exchanged,
    "last norms exchanged": final_norm_exchanged,
    "layers exchanged": layers_exchanged,
    "heads of q rolled": q_heads_rolled,
    "heads of the output rolled": out_heads_rolled,
    "q k v interleaved by head": heads_interleaved,
    "positions off by one": positions_off_by_one,
    "vocabulary off by one": vocabulary_shifted,
    "gelu_new for gelu": set_config(activation_function="gelu_new"),
    "gelu_pytorch_tanh for gelu": set_config(activation_function="gelu_pytorch_tanh"),
    "quick gelu for gelu": set_config(activation_function="quick_gelu"),
    "relu for gelu": set_config(activation_function="relu"),
    "silu for gelu": set_config(activation_function="silu"),
    "eps 1e-6": set_config(layer_norm_epsilon=1e-6),
    "eps 1e-12": set_config(layer_norm_epsilon=1e-12),
    "eps 1.01e-5": set_config(layer_norm_epsilon=1.01e-5),
    "attention not scaled": set_config(scale_attn_weights=False),
    "attention scaled by layer": set_config(scale_attn_by_inverse_layer_idx=True),
    "4 heads": set_config(n_head=4),
    "6 heads": set_config(n_head=6),
    "5 heads, which cannot be": set_config(n_head=5),
    "tied by mistake": set_config(tie_word_embeddings=True),
    "context too short": set_config(n_positions=12),
    "another class": set_config(architectures=["GPT2DoubleHeadsModel"]),
    "no architecture": set_config(architectures=None),
    "a layer too few": set_config(n_layer=2),
    "a layer too many": set_config(n_layer=4),
    "a matrix is missing": dropped(at(1, f"{UP}.weight")),
    "a bias is missing": dropped(at(1, f"{UP}.bias")),
    "the head is missing": dropped("lm_head.weight"),
    "an unknown tensor": added("lm_head.bias"),
    "a matrix of another shape": misshapen,
    **{
        f"no bias: {name}": zeroed(name)
        for name in (
            *(at(1, f"{n}.bias") for n in (C_ATTN, OUT, UP, DOWN, "ln_1", "ln_2")),
            "transformer.ln_f.bias",
        )
    },
    **{
        f"one element: {name}": one_element(name)
        for name in (
            *(at(2, f"{n}.weight") for n in (C_ATTN, OUT, UP, DOWN, "ln_1", "ln_2")),
            "transformer.wte.weight",
            "transformer.wpe.weight",
            "transformer.ln_f.weight",
            "lm_head.weight",
        )
    },
}


@pytest.mark.parametrize("loud", [True, False], ids=["loud", "quiet"])
@pytest.mark.parametrize("name", MUTANTS)
def test_every_mutant_dies(kit: Any, tmp_path: Path, name: str, *, loud: bool) -> None:
    weights = kit.draw(kit.spec, loud=loud)
    state, config = kit.state(kit.spec, weights), kit.config(kit.spec)
    MUTANTS[name](state, config)
    checks = compare(kit, kit.write(tmp_path, config, state), weights, formats=("safetensors",))
    assert failed(checks)
    if len(checks) > 1:
        assert "float64 logits" in failed(checks), "the sharp check catches every mistake of the mapping"


def test_there_are_many_mutants() -> None:
    assert len(MUTANTS) == 54


def test_a_lost_head_bias_dies(kit: Any, tmp_path: Path) -> None:
    spec = dataclasses.replace(kit.spec, head_bias=True)
    weights = kit.draw(spec)
    checks = compare(kit, kit.write(tmp_path, kit.config(spec), kit.state(spec, weights)), weights, spec)
    assert {"float32 logits", "float64 logits", "greedy generation"} <= set(failed(checks))
    assert checks[1].numbers["first_diverging"] == "logits"


@pytest.mark.parametrize(
    ("name", "diverging"),
    [
        ("positions off by one", "transformer.drop (embed)"),
        ("q and k exchanged", "transformer.h.1.attn (layers.1.attn)"),
        ("gelu_new for gelu", "transformer.h.0.mlp (layers.0.mlp)"),
        ("layers exchanged", "transformer.h.1.attn (layers.1.attn)"),
        ("one element: transformer.ln_f.weight", "transformer.ln_f (final_norm)"),
        ("tied by mistake", "lm_head (logits)"),
    ],
)
def test_a_mismatch_names_the_first_diverging_module(kit: Any, tmp_path: Path, name: str, diverging: str) -> None:
    weights = kit.draw(kit.spec)
    state, config = kit.state(kit.spec, weights), kit.config(kit.spec)
    MUTANTS[name](state, config)
    checks = compare(kit, kit.write(tmp_path, config, state), weights, formats=("safetensors",))
    sharp = next(check for check in checks if check.name == "float64 logits")
    assert f"first diverging module: {diverging}, " in sharp.summary


def test_a_wrong_loading_names_the_tensors(kit: Any, tmp_path: Path) -> None:
    weights = kit.draw(kit.spec)
    state = kit.state(kit.spec, weights)
    state["lm_head.bias"] = torch.zeros(3)
    del state["transformer.ln_f.bias"]
    (check,) = compare(kit, kit.write(tmp_path, kit.config(kit.spec), state), weights, formats=("bin",))
    assert "missing, and therefore random: transformer.ln_f.bias" in check.summary
    assert "in the file, but not in the model: lm_head.bias" in check.summary


@pytest.mark.parametrize("name", ["lm_head.weight", "transformer.wpe.weight", "transformer.h.2.ln_1.bias"])
def test_weight_files_that_differ_in_one_bit_do_not_agree(kit: Any, tmp_path: Path, name: str) -> None:
    weights = kit.draw(kit.spec)
    state = kit.state(kit.spec, weights)
    directory = kit.write(tmp_path, kit.config(kit.spec), state)
    state[name].view(-1).view(torch.int32)[-1] ^= 1
    torch.save(state, directory / "pytorch_model.bin")
    checks = compare(kit, directory, weights)
    assert failed(checks) == ["model.safetensors and pytorch_model.bin agree"]
    assert name in checks[-1].summary


def test_a_broken_file_is_an_answer(kit: Any, tmp_path: Path) -> None:
    weights = kit.draw(kit.spec)
    directory = kit.write(tmp_path, kit.config(kit.spec), kit.state(kit.spec, weights))
    (directory / "model.safetensors").write_bytes(b"nothing of the kind")
    (directory / "pytorch_model.bin").unlink()
    checks = compare(kit, directory, weights)
    assert failed(checks) == ["loads model.safetensors", "loads pytorch_model.bin"]
    assert all("transformers refuses it" in check.summary for check in checks)


def test_nan_never_passes(kit: Any, tmp_path: Path) -> None:
    weights = kit.draw(kit.spec)
    weights["layers.1.mlp.up.weight"][0, 0] = np.nan
    checks = compare(kit, kit.write(tmp_path, kit.config(kit.spec), kit.state(kit.spec, weights)), weights)
    assert {"float32 logits", "float64 logits"} <= set(failed(checks))
    assert "not finite" in checks[1].summary


def test_dead_outputs_are_equal_outputs(kit: Any, tmp_path: Path) -> None:
    weights = kit.draw(kit.spec)
    weights["head.weight"][:] = 0
    assert failed(compare(kit, kit.write(tmp_path, kit.config(kit.spec), kit.state(kit.spec, weights)), weights)) == []


def test_rounded_directories_are_compared_with_rounded_slots(kit: Any, tmp_path: Path) -> None:
    weights = {name: torch.from_numpy(array).bfloat16().float().numpy() for name, array in kit.draw(kit.spec).items()}
    directory = kit.write(tmp_path, kit.config(kit.spec), kit.state(kit.spec, weights))
    state = {name: value.bfloat16() for name, value in load_file(directory / "model.safetensors").items()}
    save_file(state, directory / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    (directory / "config.json").write_text(json.dumps(config | {"dtype": "bfloat16"}), encoding="utf-8")
    assert failed(compare(kit, directory, weights)) == []
