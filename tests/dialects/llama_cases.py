"""Each codebase of Llama's kin as it leaves its files, and what a person who trained the model knows and types."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch

from checkpoints.nanotron_ranks import save
from dialects.llama_names import HABITS
from dialects.llama_oracle import TIME, VOCAB, Oracle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    State = dict[str, torch.Tensor]


@dataclass
class SmallModelConfig:
    """A dataclass that is pickled together with the weights."""

    d_model: int = 32
    n_heads: int = 4
    n_layers: int = 2
    d_ff: int = 44
    n_kv_heads: int = 4
    rms_norm_eps: float = 1e-6
    max_seq_len: int = TIME
    vocab_size: int | None = VOCAB


@dataclass(frozen=True)
class Case:
    """What is saved, under which name, what lies beside it, and the flags."""

    said: dict[str, Any] = field(default_factory=dict)
    file: str = "model.pth"
    wrap: Callable[[State], Any] = lambda state: state
    beside: dict[str, dict[str, Any]] = field(default_factory=dict)

    def write(self, folder: Path, model: Oracle, **more: torch.Tensor) -> Path:
        """The files, in a folder of their own."""
        folder.mkdir(exist_ok=True)
        torch.save(self.wrap({**model.state_dict(), **more}), folder / self.file)
        for name, settings in self.beside.items():  # JSON is YAML, too
            (folder / name).write_text(json.dumps(settings), encoding="utf-8")
        return folder / self.file


FUSED, CUT_ACROSS = ("qkv_proj", "gate_up_proj"), ("o_proj.weight", "down_proj.weight")
"""What nanotron fuses, and what it cuts along the columns."""


@dataclass(frozen=True)
class NanotronCase(Case):
    """A directory with a file for each parameter, or for what each of two ranks has of it."""

    def write(self, folder: Path, model: Oracle, **more: torch.Tensor) -> Path:
        """The directory itself."""
        parts: dict[str, list[torch.Tensor]] = {}
        for name, value in {**model.state_dict(), **more}.items():
            module, kind = name.rsplit(".", 1)
            above = module.rpartition(".")[0]
            parts.setdefault(f"model.{above if above.endswith(FUSED) else module}.{kind}", []).append(value)
        axes = {name: int(name.endswith(CUT_ACROSS)) for name in parts if "norm" not in name}
        cuts = {name: (axis, tuple(part.shape[axis] for part in parts[name])) for name, axis in axes.items()}
        folder.mkdir(exist_ok=True)
        save(folder, {name: torch.cat(each) for name, each in parts.items()}, cuts, 2)
        for name, settings in self.beside.items():
            (folder / name).write_text(json.dumps(settings), encoding="utf-8")
        return folder


def nanotron_config(**other: Any) -> dict[str, dict[str, Any]]:
    """`model_config.json` and `config.yaml`."""
    same = {
        "hidden_act": "silu", "hidden_size": 32, "intermediate_size": 44, "max_position_embeddings": TIME,
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2, "rms_norm_eps": 1e-5,
        "rope_scaling": None, "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": VOCAB,
    }  # fmt: skip
    run = {"model": {"dtype": "bfloat16", "init_method": {"std": 0.02}}}
    return {"model_config.json": {**same, **other}, "config.yaml": run}


def with_buffers(state: State) -> State:
    """A student's model, which keeps its mask and both tables of RoPE with the weights of each block."""
    angles = freqs_cis(1e4).repeat_interleave(2, -1)
    mask = torch.triu(torch.ones(TIME, TIME, dtype=torch.bool), diagonal=1)
    buffers = {"causal_mask": mask, "rope.cos_cached": angles.real.clone(), "rope.sin_cached": angles.imag.clone()}
    return state | {f"blocks.{i}.mult_head_atten.{name}": value for i in (0, 1) for name, value in buffers.items()}


def up_and_gate(state: State) -> State:
    """OLMo's `ff_proj`, of which the second half is the gate."""
    kept = {name: value for name, value in state.items() if ".ff_proj." not in name}
    ups = {name: value for name, value in state.items() if name.endswith(".ff_proj.up.weight")}
    gates = {name: state[name.replace(".up.", ".gate.")] for name in ups}
    return kept | {name.replace(".up.", "."): torch.cat([up, gates[name]]) for name, up in ups.items()}


def olmo_config(**other: Any) -> dict[str, dict[str, Any]]:
    """`config.yaml` of a step that OLMo gathered."""
    same = {
        "d_model": 32, "n_heads": 4, "n_kv_heads": 2, "clip_qkv": None, "n_layers": 2, "mlp_hidden_size": 88,
        "activation_type": "swiglu", "block_type": "sequential", "alibi": False, "rope": True, "rope_theta": 10000,
        "attention_layer_norm": False, "embedding_layer_norm": False, "layer_norm_type": "rms",
        "layer_norm_with_affine": True, "layer_norm_eps": 1e-5, "max_sequence_length": TIME, "include_bias": False,
        "scale_logits": False, "weight_tying": False, "norm_after": False,
    }  # fmt: skip
    return {"config.yaml": {"run_name": "small", "model": {**same, **other}}}


def said(*facts: str, dialect: str | None = None) -> dict[str, Any]:
    return {"facts": facts, **({"dialect": dialect} if dialect else {})}


def freqs_cis(theta: float) -> torch.Tensor:
    """What torchtitan saved until August 2025."""
    speeds = 1.0 / (theta ** (torch.arange(0, 8, 2).float() / 8))
    angles = torch.outer(torch.arange(TIME).float(), speeds)
    return torch.polar(torch.ones_like(angles), angles)


def litgpt_config(**other: Any) -> dict[str, Any]:
    """`model_config.yaml`."""
    same = {
        "name": "small-llama", "block_size": TIME, "vocab_size": VOCAB, "padded_vocab_size": VOCAB, "n_layer": 2,
        "n_head": 4, "n_query_groups": 2, "n_embd": 32, "head_size": 6, "rotary_percentage": 1.0, "bias": False,
        "parallel_residual": False, "norm_class_name": "RMSNorm", "norm_eps": 1e-5, "mlp_class_name": "LLaMAMLP",
        "intermediate_size": 44, "rope_base": 10000, "rope_condense_ratio": 1, "rope_adjustments": None,
        "scale_embeddings": False, "gelu_approximate": "none", "final_logit_softcapping": None,
    }  # fmt: skip
    return {**same, **other}


SIZES = {"dim": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "norm_eps": 1e-5}
WINDOWED = ("context=16", "layer_pattern=ssf", "sliding_window=5")
NANOCHAT_META = {
    "step": 10,
    "model_config": {
        "sequence_len": TIME, "vocab_size": VOCAB, "n_layer": 2, "n_head": 4, "n_kv_head": 2, "n_embd": 32,
    },
}  # fmt: skip
LIKE_LLAMA = ("norm_offset=false", "activation=silu", "embed_scale=1")
LIKE_GEMMA = ("norm_offset=true", "activation=gelu_tanh", "embed_scale=d_model**0.5")
AS_THE_HANDOUT = ("heads=4", "norm_placement=pre", "norm_eps=1e-5", "position=rope", "rope_layout=pairs")
CASES: dict[str, Case] = {
    "happy-llm": Case(said("heads=4", "context=16", dialect="happy-llm"), "pretrain_32_2_40.pth"),
    "baby-llama2": Case(said("heads=4", "context=16", dialect="baby-llama2"), "epoch_0.pth"),
    "minimind of February 2025": Case(
        said("heads=4", "context=16", "rope_theta=1e6", dialect="minimind"), "pretrain_32.pth"
    ),
    "minimind with experts": Case(said("context=16", "experts_per_token=1", dialect="minimind"), "pretrain_32_moe.pth"),
    "meta-llama": Case(
        said("context=16"),
        "consolidated.00.pth",
        beside={"params.json": {**SIZES, "vocab_size": -1, "rope_theta": 5e5, "use_scaled_rope": True}},
    ),
    "mistral-inference": Case(
        said("context=16"),
        "consolidated.00.pth",
        beside={"params.json": {**SIZES, "head_dim": 10, "hidden_dim": 44, "rope_theta": 1e6, "vocab_size": VOCAB}},
    ),
    "lingua": Case(
        said(),
        "consolidated.pth",
        lambda state: {"model": state, "optim": {}},
        {"params.json": {"name": "small", "model": {**SIZES, "rope_theta": 5e5, "max_seqlen": TIME}}},
    ),
    "torchtitan": Case(
        said("heads=4", dialect="torchtitan"), wrap=lambda state: {**state, "freqs_cis": freqs_cis(5e5)}
    ),
    "torchtitan of 2026": Case(said("heads=4", "context=16", "rope_theta=500000", "rope_scaling=none")),
    "torchtitan, fused": Case(said("heads=4", "kv_heads=2", "context=16", "rope_theta=500000", "rope_scaling=none")),
    "torchtitan-qwen3": Case(said("context=16")),
    "torchtitan-qwen3 before April 2026": Case(said("context=16", dialect="torchtitan-qwen3")),
    "torchtitan-qwen3 of April 2026": Case(said("context=16")),
    "torchtitan-qwen3, fused": Case(said("kv_heads=2", "context=16")),
    "torchtune": Case(
        said("heads=4", "context=16", "norm_eps=1e-5", "rope_layout=pairs", "rope_theta=500000", "rope_scaling=none")
    ),
    "torchtune, Phi-3": Case(
        said("heads=4", "context=16", "norm_eps=1e-5", "rope_layout=halves", "rope_theta=10000", "rope_scaling=none")
    ),
    "torchtune, Llama 3.2": Case(
        said(
            *("heads=4", "context=16", "norm_eps=1e-5", "rope_layout=pairs", "rope_theta=500000"),
            *("rope_scaling=llama3:32,1,4,8192", *LIKE_LLAMA),
        )
    ),
    "torchtune, Qwen2": Case(said("heads=4", "context=16", "norm_eps=1e-6", "rope_theta=1000000")),
    "torchtune, Gemma": Case(
        said(
            *("heads=4", "context=16", "norm_eps=1e-6", "rope_layout=pairs", "rope_theta=10000"),
            *("rope_scaling=none", *LIKE_GEMMA),
        )
    ),
    "torchtune, Qwen3": Case(said("context=16", "norm_eps=1e-6")),
    "nanotron": NanotronCase(said(), beside=nanotron_config(rope_interleaved=True)),
    "nanotron, Qwen2": NanotronCase(
        said(),
        beside=nanotron_config(
            rope_interleaved=False, rope_theta=1e6, tie_word_embeddings=True, sliding_window_size=None
        ),
    ),
    "olmo": Case(said(), "model.pt", up_and_gate, olmo_config()),
    "olmo, OLMo 2": Case(
        said(),
        "model.pt",
        up_and_gate,
        olmo_config(attention_layer_norm=True, norm_after=True, layer_norm_eps=1e-6, rope_theta=500000),
    ),
    "gpt-fast": Case(
        said("heads=4", "kv_heads=2", "context=16", "rope_theta=1e4", "rope_scaling=none", dialect="gpt-fast")
    ),
    "cs336": Case(
        said("heads=4", "context=16", "rope_theta=1e4", dialect="cs336"),
        "checkpoint.pt",
        lambda state: {"model": state, "optimizer": {}, "iteration": 7},
    ),
    "cs336, wqkv": Case(
        said(*AS_THE_HANDOUT, "context=16", "rope_theta=1e4"),
        "checkpoint.pt",
        lambda state: {"model": state, "optimizer": {}, "iteration": 7},
    ),
    "cs336, fc_qkv": Case(
        said(*AS_THE_HANDOUT, "context=16", "rope_theta=1e4"),
        "model.pt",
        lambda state: {"model_state_dict": state, "optimizer_state_dict": {}, "iteration": 7},
    ),
    "cs336, Linear.w": Case(said(*AS_THE_HANDOUT), "model.pth", with_buffers),
    "tiny-llm-zh": Case(
        said(dialect="tiny-llm-zh"),
        "pytorch_model.bin",
        beside={
            "config.json": {
                "model_type": "tinyllm",
                "hidden_size": 32,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "num_hidden_layers": 2,
                "intermediate_size": 44,
                "max_position_embeddings": TIME,
                "rms_norm_eps": 1e-6,
                "rope_theta": 10000.0,
                "tie_word_embeddings": False,
                "vocab_size": VOCAB,
            }
        },
    ),
    "picotron": Case(
        said("heads=4", "context=16", "rope_theta=1e4"),
        "weights_tp_rank_world_size=0_1_pp_rank_world_size=0_1.pth",
        lambda state: {"model": state, "optimizer": {}, "trained_steps": 3, "trained_tokens": 99},
    ),
    "litgpt": Case(
        said(),
        "lit_model.pth",
        lambda state: {"model": state, "optimizer": {}, "iter_num": 1, "step_count": 1},
        {"model_config.yaml": litgpt_config()},
    ),
    "litgpt, legacy": Case(said(), "lit_model.pth", beside={"model_config.yaml": litgpt_config()}),
    "litgpt with norms of q and k": Case(
        said(),
        "lit_model.pth",
        beside={"model_config.yaml": litgpt_config(norm_qk=True, norm_eps=1e-6, rope_base=1000000)},
    ),
    "litgpt, Gemma": Case(
        said(),
        "lit_model.pth",
        beside={
            "model_config.yaml": litgpt_config(
                name="Gemma-small", mlp_class_name="GemmaMLP", gelu_approximate="tanh", scale_embeddings=True
            )
        },
    ),
    "tinyllama": Case(said("heads=4", "kv_heads=2", "context=16")),
    "lit-llama": Case(said("heads=4", "context=16"), "lit-llama.pth"),
    "smolgpt": Case(
        said(),
        "ckpt.pt",
        lambda state: {
            "model": {f"_orig_mod.{name}": value for name, value in state.items()},
            "model_args": {"n_layer": 2, "n_head": 4, "n_embed": 32, "block_size": TIME, "vocab_size": VOCAB},
            "best_val_loss": torch.tensor(1.5),
        },
    ),
    "qwen3-from-scratch": Case(
        said(dialect="qwen3-from-scratch"),
        "final_model.pt",
        lambda state: {"model_state_dict": state, "config": SmallModelConfig(), "final_metrics": {"val_loss": 1.0}},
    ),
    "nanochat": Case(said(), "model_000010.pt", beside={"meta_000010.json": NANOCHAT_META}),
    "rasbt-gemma3": Case(said(*WINDOWED, "rope_theta=1e6", "attention_scale=24**-0.5")),
    "rasbt-olmo3": Case(said(*WINDOWED, "heads=4", "rope_scaling=none")),
    "rasbt-tiny-aya": Case(said(*WINDOWED, "heads=4", "logit_scale=0.25")),
    "rasbt-qwen3 with experts": Case(said("context=16", "experts_per_token=2")),
}
"""By the same names as the habits."""


def oracle(name: str, **changes: Any) -> Oracle:
    """The model of a codebase, or one that differs in some habits."""
    names, habits = HABITS[name]
    return Oracle(names, replace(habits, **changes))
