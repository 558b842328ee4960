"""Values that tests of several layers start from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ckpt2hf.ir import (
    Activation,
    Factor,
    LayerPattern,
    Mlp,
    ModelSpec,
    Norm,
    NormPlacement,
    Position,
    QkNorm,
    RopeLayout,
    RopeScaling,
)

SPEC = ModelSpec(
    layers=3,
    d_model=24,
    heads=3,
    head_dim=8,
    d_ff=40,
    vocab=61,
    kv_heads=3,
    context=20,
    embed_rows=61,
    head_rows=61,
    norm=Norm.LAYERNORM,
    norm_weight=True,
    norm_offset=False,
    embed_norm=False,
    mlp=Mlp.PLAIN,
    experts=0,
    experts_per_token=0,
    position=Position.LEARNED,
    position_scale=Factor("1"),
    rope_layout=RopeLayout.NONE,
    rope_reversed=False,
    rope_theta=0.0,
    rope_dims=0,
    rope_scaling=RopeScaling("none"),
    rope_local_theta=0.0,
    rope_everywhere=True,
    layer_pattern=LayerPattern("f"),
    sliding_window=0,
    qk_norm=QkNorm.NONE,
    qk_norm_weight=False,
    qk_norm_after_rope=False,
    embed_scale=Factor("1"),
    logit_scale=Factor("1"),
    logit_softcap=0.0,
    norm_placement=NormPlacement.PRE,
    norm_eps=1e-5,
    norm_bias=True,
    final_norm=True,
    activation=Activation.GELU,
    attention_scale=Factor("head_dim**-0.5"),
    qkv_bias=True,
    out_bias=True,
    mlp_bias=True,
    head_bias=False,
    tied=False,
)
"""A small model with unequal lengths everywhere, so that no axis can be taken for another."""

LLAMA = replace(
    SPEC,
    d_model=40,
    heads=6,
    kv_heads=2,
    d_ff=56,
    context=33,
    norm=Norm.RMSNORM,
    norm_bias=False,
    mlp=Mlp.GATED,
    activation=Activation.SILU,
    position=Position.ROPE,
    rope_layout=RopeLayout.HALVES,
    rope_theta=1e4,
    rope_dims=8,
    qkv_bias=False,
    out_bias=False,
    mlp_bias=False,
)
"""The same of Llama's kin, with fewer heads of keys than of queries, which do not fill the width."""


def resized(spec: ModelSpec, **changes: Any) -> ModelSpec:
    """A spec with some fields changed, and with them what depends on them in a model of GPT-2's family."""
    follow = {"heads": ("kv_heads",), "vocab": ("embed_rows", "head_rows")}
    more = {other: changes[name] for name, others in follow.items() if name in changes for other in others}
    return replace(spec, **{**more, **changes})


FLAGS: dict[str, dict[str, Any]] = {
    # What a person who trained each model knows, and types.
    "az50_v1": {"facts": ("heads=3",)},
    "az50_v2": {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)},
    "az50_v2_accelerate_dir": {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)},
    "az50_v2_ddp_prefix": {"dialect": "az-course", "facts": ("attention_scale=head_dim**-0.5",)},
    "build_nanogpt": {},
    "mingpt": {"dialect": "mingpt", "facts": ("heads=3",)},
    "nanogpt_bias": {"facts": ("activation=gelu",)},
    "nanogpt_nobias_origmod": {"facts": ("activation=gelu",)},
    "nanogpt_nobias_raw": {"dialect": "nanogpt", "facts": ("heads=6", "activation=gelu")},
    "ng_video": {"dialect": "karpathy-lecture", "facts": ("attention_scale=head_dim**-0.5",)},
}
"""What the user says about each golden checkpoint."""

EVERY_FLAGS: dict[str, dict[str, Any]] = {
    **FLAGS,
    "clean_transformer_arena": {"dialect": "transformerlens", "facts": ()},
    "fareedkhan": {},
    "former_postnorm": {"facts": ("heads=3",)},
    "lfs_llama3": {"facts": ("heads=4", "context=64", "rope_theta=10000", "rope_scaling=llama3:8,1,4,64")},
    "lfs_qwen3": {"facts": ("context=64",)},
    "litgpt_llama": {},
    "llama2c": {},
    "meta_llama3": {"facts": ("context=64",)},
    "llmc_train_gpt2": {"dialect": "llmc", "facts": ("heads=3",)},
    "minimind2_apr2025": {"dialect": "minimind", "facts": ("heads=4", "context=64")},
    "minimind3": {"dialect": "minimind", "facts": ("context=64",)},
    "rasbt_gpt_noqkvbias": {"facts": ("heads=3",)},
    "rasbt_gpt_qkvbias_ckptdict": {"facts": ("heads=4",)},
    "waylandzhang_sinusoidal": {},
}
"""The same for all of them, also those whose file is not called checkpoint.pt."""

SOURCES = {
    "az50_v2_accelerate_dir": "best_model",
    "lfs_llama3": "model.pth",
    "lfs_qwen3": "model.pth",
    "litgpt_llama": "lit_model.pth",
    "meta_llama3": "consolidated.00.pth",
    "minimind2_apr2025": "pretrain_64.pth",
    "minimind3": "pretrain_64.pth",
    "nanochat_2026": "base_checkpoints/d3/model_000010.pt",
}
"""What is read of a golden case, where that is not checkpoint.pt; an empty text is the whole folder."""

REFUSED = frozenset({"nanochat_2026"})
"""Golden cases that no class computes."""

MUTANTS = "mutants"
"""The property of a test's report that holds its tally."""


@dataclass
class Tally:
    """How many mutants of each kind were made and stopped."""

    made: dict[str, int] = field(default_factory=dict)
    killed: dict[str, int] = field(default_factory=dict)

    def __call__(self, kind: str, *, killed: bool) -> bool:
        """Counts one mutant; whether it survived."""
        self.made[kind] = self.made.get(kind, 0) + 1
        self.killed[kind] = self.killed.get(kind, 0) + killed
        return not killed

    def __str__(self) -> str:
        kinds = ", ".join(f"{self.killed[kind]} of {made} {kind}" for kind, made in self.made.items())
        return f"mutants: {sum(self.killed.values())} killed of {sum(self.made.values())} ({kinds})"

    def add(self, made: dict[str, int], killed: dict[str, int]) -> None:
        """Adds another tally's counts."""
        for kind, count in made.items():
            self.made[kind] = self.made.get(kind, 0) + count
            self.killed[kind] = self.killed.get(kind, 0) + killed[kind]
