"""Values that tests of several layers start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ckpt2hf.ir.spec import Activation, AttentionScale, ModelSpec, NormPlacement

SPEC = ModelSpec(
    layers=3,
    d_model=24,
    heads=3,
    head_dim=8,
    d_ff=40,
    vocab=61,
    context=20,
    norm_placement=NormPlacement.PRE,
    norm_eps=1e-5,
    norm_bias=True,
    final_norm=True,
    activation=Activation.GELU,
    attention_scale=AttentionScale("head_dim**-0.5"),
    qkv_bias=True,
    out_bias=True,
    mlp_bias=True,
    head_bias=False,
    tied=False,
)
"""A small model with unequal lengths everywhere, so that no axis can be taken for another."""

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
