"""Tiny models: weights of a spec, loud or quiet, and the GPT-2 directory that holds them."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ckpt2hf.ir import slots as slots_of
from ckpt2hf.tensors import DType, Meta
from support import SPEC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array, Box

GPT2_MODULES = {
    "embed": "transformer.drop",
    "layers.{i}.attn": "transformer.h.{i}.attn",
    "layers.{i}.mlp": "transformer.h.{i}.mlp",
    "layers.{i}": "transformer.h.{i}",
    "final_norm": "transformer.ln_f",
    "logits": "lm_head",
}
GPT2_ACTIVATIONS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "relu2": "relu2", "silu": "silu"}


@dataclass(frozen=True)
class Held:
    """An array as a slot."""

    array: Array
    dtype: DType = DType.F32

    @property
    def meta(self) -> Meta:
        return Meta(self.array.shape, self.dtype)

    def read(self, box: Box) -> Array:
        view = self.array[box]
        if view.ndim:
            view.flags.writeable = False
        return view


def held(weights: Mapping[str, Array]) -> dict[str, Held]:
    return {name: Held(array) for name, array in weights.items()}


def draw(spec: ModelSpec, *, loud: bool = True, seed: int = 7) -> dict[str, Array]:
    """Weights that show any mistake (`loud`), or those of an untrained GPT-2 with a breath of training (`quiet`)."""
    random = np.random.default_rng(seed)

    def one(name: str, shape: tuple[int, ...]) -> Array:
        if "norm" in name and name.endswith("weight"):
            return 1 + random.uniform(-0.25, 0.25, shape) if loud else 1 + random.normal(0, 0.02, shape)
        if not loud:
            return random.normal(0, 0.02, shape)
        if name.endswith("bias"):
            return random.normal(0, 0.3, shape)
        return random.normal(0, 0.15 if name.startswith(("embed", "positions")) else shape[1] ** -0.5 * 1.5, shape)

    return {name: one(name, shape).astype(np.float32) for name, shape in slots_of(spec).items()}


def gpt2_state(spec: ModelSpec, weights: Mapping[str, Array]) -> dict[str, torch.Tensor]:
    """The slots under GPT2LMHeadModel's names, absent biases as zeros."""
    own = {"weight": 1.0, "bias": 0.0}

    def vector(name: str, width: int) -> Array:
        return weights.get(name, np.full(width, own[name.rpartition(".")[2]], np.float32))

    state = {"transformer.wte.weight": weights["embed.weight"], "transformer.wpe.weight": weights["positions.weight"]}
    inner = spec.heads * spec.head_dim
    for i in range(spec.layers):
        at, to = f"layers.{i}.", f"transformer.h.{i}."
        for slot, name in (("attn_norm", "ln_1"), ("mlp_norm", "ln_2")):
            for part in own:
                state[f"{to}{name}.{part}"] = vector(f"{at}{slot}.{part}", spec.d_model)
        state[f"{to}attn.c_attn.weight"] = np.concatenate([weights[f"{at}attn.{part}.weight"] for part in "qkv"]).T
        state[f"{to}attn.c_attn.bias"] = np.concatenate([vector(f"{at}attn.{part}.bias", inner) for part in "qkv"])
        for slot, name in (("attn.out", "attn.c_proj"), ("mlp.up", "mlp.c_fc"), ("mlp.down", "mlp.c_proj")):
            matrix = weights[f"{at}{slot}.weight"]
            state[f"{to}{name}.weight"] = matrix.T
            state[f"{to}{name}.bias"] = vector(f"{at}{slot}.bias", len(matrix))
    for part in own:
        state[f"transformer.ln_f.{part}"] = vector(f"final_norm.{part}", spec.d_model)
    if not spec.tied:
        state["lm_head.weight"] = weights["head.weight"]
    return {name: torch.from_numpy(np.ascontiguousarray(array).copy()) for name, array in state.items()}


def gpt2_config(spec: ModelSpec) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "n_layer": spec.layers,
        "n_head": spec.heads,
        "n_embd": spec.d_model,
        "n_inner": spec.d_ff,
        "n_positions": spec.context,
        "vocab_size": spec.vocab,
        "activation_function": GPT2_ACTIVATIONS[spec.activation.value],
        "layer_norm_epsilon": spec.norm_eps,
        "tie_word_embeddings": spec.tied,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def write(directory: Path, config: Mapping[str, Any], state: Mapping[str, torch.Tensor]) -> Path:
    """A directory with both weight files."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(dict(state), directory / "model.safetensors", metadata={"format": "pt"})
    torch.save(dict(state), directory / "pytorch_model.bin")
    return directory


@dataclass(frozen=True)
class Kit:
    """The functions above, for tests that cannot import a conftest."""

    spec: ModelSpec = SPEC
    modules: Any = dataclasses.field(default_factory=lambda: GPT2_MODULES)
    draw: Callable[..., dict[str, Array]] = draw
    held: Callable[..., dict[str, Held]] = held
    slot: type[Held] = Held
    state: Callable[..., dict[str, torch.Tensor]] = gpt2_state
    config: Callable[..., dict[str, Any]] = gpt2_config
    write: Callable[..., Path] = write


@pytest.fixture(scope="session")
def kit() -> Kit:
    return Kit()
