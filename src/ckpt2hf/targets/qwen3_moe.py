"""`Qwen3MoeForCausalLM`: Qwen3 with experts in place of the MLP, the shares of the chosen ones summing to one.

Source: huggingface/transformers 4.57 and 5.x, models/qwen3_moe/{configuration,modeling}_qwen3_moe.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.naming import Naming
from ckpt2hf.targets.llama import ALIKE, BIASES, HEAD_TIE, MODULES, PRE, shared_config
from ckpt2hf.targets.qwen3 import EXPRESSES, HEAD_NORMS, NO_WINDOW, SHARED
from ckpt2hf.targets.target import Target, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_EXPERTS = {
    f"model.layers.{{i}}.mlp.experts.{{e}}.{part}_proj": f"layers.{{i}}.experts.{{e}}.{part}"
    for part in ("gate", "up", "down")
}


def _moe_config(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model_type": "qwen3_moe",
        **shared_config(spec),
        **NO_WINDOW,
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
    expresses=EXPRESSES | {"experts", "experts_per_token"},
    requires=(*ALIKE, PRE, BIASES, *HEAD_NORMS),
    naming=Naming(
        rules=(*SHARED, *same({"model.layers.{i}.mlp.gate": "layers.{i}.router"} | _EXPERTS, "weight")),
        ties=HEAD_TIE,
    ),
    config=_moe_config,
    modules=MODULES,
)
