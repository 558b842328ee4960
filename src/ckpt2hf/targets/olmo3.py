"""`Olmo3ForCausalLM`: norms after each sublayer, queries and keys normalised over their whole width, windows.

Source: huggingface/transformers 4.57 and 5.x, models/olmo3/{configuration,modeling}_olmo3.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import NormPlacement, QkNorm
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.layer_types import BIASED, LAYERS, layer_types
from ckpt2hf.targets.llama import ALIKE, ATTENTION, BIASES, ENDS, HEAD_TIE, MLP, MODULES, shared_config
from ckpt2hf.targets.qwen3 import QK_NORMS
from ckpt2hf.targets.target import Relation, Requirement, Target, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec


def _config(spec: ModelSpec) -> dict[str, Any]:
    theta = spec.rope_theta or spec.rope_local_theta
    # Transformers 4 reads rope_theta alone. Transformers 5 reads it for full layers only, and gives sliding layers a
    # base of 500,000, whatever it says: only rope_parameters reach those.
    alike = {"rope_type": "default", "rope_theta": theta}
    return {
        "model_type": "olmo3",
        **shared_config(spec),
        "rope_theta": theta,
        "rope_parameters": {"full_attention": alike, "sliding_attention": dict(alike)},
        **layer_types(spec),
    }


OLMO3 = Target(
    id="olmo3",
    hf_class="Olmo3ForCausalLM",
    expresses=SIZES | LAYERS | BIASED | {"norm_eps", "activation", "tied"},
    requires=(
        *ALIKE,
        BIASES,
        Requirement("norm_placement", (NormPlacement.OUTPUT,), "OLMo 3 normalises what each sublayer adds"),
        Requirement("qk_norm", (QkNorm.WIDTH,), "OLMo 3 normalises queries and keys over all heads together"),
        Requirement("qk_norm_weight", (True,), "the norms of queries and keys have weights in OLMo 3"),
        Relation("one_theta", "one", "RoPE has one base in all layers of OLMo 3 in transformers 4"),
    ),
    naming=Naming(
        rules=(
            *same(ENDS | QK_NORMS, "weight"),
            *same(
                {
                    "model.layers.{i}.post_attention_layernorm": "layers.{i}.attn_norm",
                    "model.layers.{i}.post_feedforward_layernorm": "layers.{i}.mlp_norm",
                },
                "weight",
            ),
            *same(ATTENTION, "weight", "bias"),
            *same(MLP, "weight"),
        ),
        ties=HEAD_TIE,
    ),
    config=_config,
    modules=MODULES,
)
