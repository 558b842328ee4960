"""`Qwen3ForCausalLM`: Llama with queries and keys normalised over each head, before RoPE. With experts: Qwen3-MoE.

Source: huggingface/transformers 4.57 and 5.x, models/qwen3, models/qwen3_moe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

QK_NORMS = {f"model.layers.{{i}}.self_attn.{part}_norm": f"layers.{{i}}.attn.{part}_norm" for part in "qk"}
HEAD_NORMS = (
    Requirement("qk_norm", (QkNorm.HEAD,), "this class normalises queries and keys over each head"),
    Requirement("qk_norm_weight", (True,), "the norms of queries and keys have weights in this class"),
)
_EXPRESSES = SIZES | {
    "norm_eps",
    "activation",
    "rope_theta",
    "rope_dims",
    "rope_scaling",
    "tied",
    "qkv_bias",
    "out_bias",
}
_SHARED = (*same(ENDS | PRE_NORMS | QK_NORMS, "weight"), *same(ATTENTION, "weight", "bias"))
_NO_WINDOW = {"use_sliding_window": False, "sliding_window": None}

QWEN3 = Target(
    id="qwen3",
    hf_class="Qwen3ForCausalLM",
    expresses=_EXPRESSES,
    requires=(*ALIKE, PRE, BIASES, *HEAD_NORMS),
    naming=Naming(rules=(*_SHARED, *same(MLP, "weight")), ties=HEAD_TIE),
    config=lambda spec: {"model_type": "qwen3", **shared_config(spec), **_NO_WINDOW},
    modules=MODULES,
)

_EXPERTS = {
    f"model.layers.{{i}}.mlp.experts.{{e}}.{part}_proj": f"layers.{{i}}.experts.{{e}}.{part}"
    for part in ("gate", "up", "down")
}


def _moe_config(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model_type": "qwen3_moe",
        **shared_config(spec),
        **_NO_WINDOW,
        "num_experts": spec.experts,
        "num_experts_per_tok": spec.experts_per_token,
        "moe_intermediate_size": spec.d_ff,
        "norm_topk_prob": True,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "output_router_logits": False,
        "router_aux_loss_coef": 0.0,
    }


QWEN3_MOE = Target(
    id="qwen3_moe",
    hf_class="Qwen3MoeForCausalLM",
    expresses=_EXPRESSES | {"experts", "experts_per_token"},
    requires=(*ALIKE, PRE, BIASES, *HEAD_NORMS),
    naming=Naming(
        rules=(*_SHARED, *same({"model.layers.{i}.mlp.gate": "layers.{i}.router"} | _EXPERTS, "weight")),
        ties=HEAD_TIE,
    ),
    config=_moe_config,
    modules=MODULES,
)
