"""For every target small models that its class can express, written as a conversion writes them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_file

from ckpt2hf.ir import (
    Activation,
    Factor,
    LayerPattern,
    Mlp,
    ModelSpec,
    Norm,
    NormPlacement,
    QkNorm,
    RopeLayout,
    RopeScaling,
    slots,
)
from ckpt2hf.naming import link, to_names
from ckpt2hf.ops import Mosaic
from ckpt2hf.tensors import DType, Meta
from ckpt2hf.verify.logits import compare_logits
from support import LLAMA, SPEC

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.targets import Target
    from ckpt2hf.tensors import Array, Box
    from ckpt2hf.verify.verdict import Check

QWEN3 = replace(LLAMA, qk_norm=QkNorm.HEAD, qk_norm_weight=True, norm_eps=1e-6)
SLIDING = replace(LLAMA, layers=4, layer_pattern=LayerPattern("sssf"), sliding_window=5, rope_local_theta=1e4)
GPT1 = replace(SPEC, norm_placement=NormPlacement.POST, final_norm=False, activation=Activation.RELU, d_ff=96, layers=2)
GEMMA3 = replace(
    SLIDING,
    layer_pattern=LayerPattern("ssf"),
    layers=3,
    qk_norm=QkNorm.HEAD,
    qk_norm_weight=True,
    norm_placement=NormPlacement.SANDWICH,
    norm_offset=True,
    norm_eps=1e-6,
    activation=Activation.GELU_TANH,
    embed_scale=Factor("d_model**0.5"),
    rope_theta=1e6,
)
NANOCHAT = replace(
    LLAMA,
    d_model=48,
    norm_weight=False,
    embed_norm=True,
    mlp=Mlp.PLAIN,
    activation=Activation.RELU2,
    rope_reversed=True,
    qk_norm=QkNorm.HEAD,
    qk_norm_after_rope=True,
    logit_softcap=6.0,
)
SPECS: dict[str, tuple[ModelSpec, ...]] = {
    "gpt2": (SPEC, replace(SPEC, tied=True, activation=Activation.RELU2)),
    "openai-gpt": (GPT1, replace(GPT1, tied=True, activation=Activation.GELU_TANH)),
    "llama": (
        LLAMA,
        replace(LLAMA, tied=True, qkv_bias=True, out_bias=True, mlp_bias=True, activation=Activation.GELU),
        replace(LLAMA, rope_scaling=RopeScaling("llama3:8,1,4,16"), kv_heads=6, norm_eps=1e-6),
        replace(LLAMA, rope_scaling=RopeScaling("linear:4"), rope_theta=5e5),
    ),
    "qwen3": (QWEN3, replace(QWEN3, tied=True, kv_heads=1, rope_theta=1e6, qkv_bias=True, out_bias=True)),
    "qwen3_moe": (
        replace(QWEN3, experts=5, experts_per_token=2, d_ff=24),
        replace(QWEN3, experts=3, experts_per_token=3, d_ff=24, tied=True),
    ),
    "gemma3_text": (
        GEMMA3,
        replace(GEMMA3, tied=True, attention_scale=Factor("0.3"), logit_softcap=6.0, norm_eps=1e-5),
        replace(GEMMA3, layer_pattern=LayerPattern("s"), rope_theta=0.0),
    ),
    "olmo3": (
        replace(SLIDING, norm_placement=NormPlacement.OUTPUT, qk_norm=QkNorm.WIDTH, qk_norm_weight=True),
        replace(LLAMA, norm_placement=NormPlacement.OUTPUT, qk_norm=QkNorm.WIDTH, qk_norm_weight=True, norm_eps=1e-6),
    ),
    "cohere2": (
        replace(
            SLIDING,
            norm=Norm.LAYERNORM,
            norm_placement=NormPlacement.PARALLEL,
            rope_layout=RopeLayout.PAIRS,
            rope_everywhere=False,
            rope_theta=0.0,
            logit_scale=Factor("0.25"),
            tied=True,
        ),
    ),
    "nanochat": (
        NANOCHAT,
        replace(
            NANOCHAT,
            kv_heads=6,
            tied=True,
            qkv_bias=True,
            out_bias=True,
            activation=Activation.GELU,
            rope_theta=5e5,
            logit_softcap=0.0,
        ),
    ),
}
"""What each class can express, in a few variants that differ in as much as possible."""


@dataclass(frozen=True, eq=False)
class Held:
    """An array as a tensor."""

    array: Array

    @property
    def meta(self) -> Meta:
        return Meta(self.array.shape, DType.F32)

    def read(self, box: Box) -> Array:
        return self.array[box]


def drawn(spec: ModelSpec, seed: int = 0) -> dict[str, Array]:
    """Weights that show any mistake."""
    random = np.random.default_rng(seed)

    def one(name: str, shape: tuple[int, ...]) -> Array:
        if "norm" in name and name.endswith("weight"):
            return (0 if spec.norm_offset else 1) + random.uniform(-0.3, 0.3, shape)
        if name.endswith("bias"):
            return random.normal(0, 0.3, shape)
        return random.normal(0, 0.2 if name.startswith(("embed", "positions")) else shape[1] ** -0.5 * 1.5, shape)

    return {name: one(name, shape).astype(np.float32) for name, shape in slots(spec).items()}


@dataclass(frozen=True)
class Model:
    """A model of a target: its spec, its weights, and what a conversion would write."""

    target: Target
    spec: ModelSpec
    weights: Mapping[str, Array] = field(repr=False)
    compare: Callable[..., tuple[Check, ...]] = compare_logits

    @property
    def slots(self) -> dict[str, Mosaic]:
        return {name: Mosaic.of(Held(array)) for name, array in self.weights.items()}

    def state(self) -> dict[str, torch.Tensor]:
        named = to_names(link(self.target.naming, self.spec), self.slots)
        return {name: torch.from_numpy(np.ascontiguousarray(part.load())) for name, part in named.items()}

    def config(self) -> dict[str, Any]:
        ids = {"bos_token_id": None, "eos_token_id": None, "torch_dtype": "float32"}
        return {"architectures": [self.target.hf_class], **self.target.config(self.spec), **ids}

    def failures(self, directory: Path, state: Mapping[str, Any], config: Mapping[str, Any]) -> list[str]:
        """Which checks of the level `logits` fail for these weights and settings."""
        write(directory, state, config)
        checks = self.compare(directory, ["safetensors"], spec=self.spec, slots=self.slots, modules=self.target.modules)
        return [f"{check.name}: {check.summary}" for check in checks if not check.passed]


def write(directory: Path, state: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """A directory of these weights and settings."""
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(dict(state), directory / "model.safetensors", metadata={"format": "pt"})
