"""`Qwen3ForCausalLM`: Llama with queries and keys normalised over each head, before RoPE.

Source: huggingface/transformers 4.57 and 5.x, models/qwen3/{configuration,modeling}_qwen3.py.
"""

from __future__ import annotations

from ckpt2hf.ir import QkNorm
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.llama import (
    ALIKE,
    ATTENTION,
    BIASES,
    ENDS,
    HEAD_TIE,
    MLP,
    MODULES,
    PRE,
    PRE_NORMS,
    shared_config,
)
from ckpt2hf.targets.target import Requirement, Target, same

QK_NORMS = {f"model.layers.{{i}}.self_attn.{part}_norm": f"layers.{{i}}.attn.{part}_norm" for part in "qk"}
HEAD_NORMS = (
    Requirement("qk_norm", (QkNorm.HEAD,), "this class normalises queries and keys over each head"),
    Requirement("qk_norm_weight", (True,), "the norms of queries and keys have weights in this class"),
)
EXPRESSES = SIZES | {
    "norm_eps",
    "activation",
    "rope_theta",
    "rope_dims",
    "rope_scaling",
    "tied",
    "qkv_bias",
    "out_bias",
}
SHARED = (*same(ENDS | PRE_NORMS | QK_NORMS, "weight"), *same(ATTENTION, "weight", "bias"))
NO_WINDOW: dict[str, bool | None] = {"use_sliding_window": False, "sliding_window": None}

QWEN3 = Target(
    id="qwen3",
    hf_class="Qwen3ForCausalLM",
    expresses=EXPRESSES,
    requires=(*ALIKE, PRE, BIASES, *HEAD_NORMS),
    naming=Naming(rules=(*SHARED, *same(MLP, "weight")), ties=HEAD_TIE),
    config=lambda spec: {"model_type": "qwen3", **shared_config(spec), **NO_WINDOW},
    modules=MODULES,
)
