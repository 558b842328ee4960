"""`Cohere2ForCausalLM`: LayerNorm, attention and MLP side by side, RoPE on pairs and in sliding layers only.

Source: huggingface/transformers 4.57 and 5.x, models/cohere2/{configuration,modeling}_cohere2.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Mlp, Norm, NormPlacement, Position, RopeLayout
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.layer_types import BIASED, layer_types
from ckpt2hf.targets.llama import ATTENTION, BIASES, ENDS, HEAD_TIE, MLP, MODULES, shared_config
from ckpt2hf.targets.target import Relation, Requirement, Target, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec


def _cohere2(spec: ModelSpec) -> dict[str, Any]:
    shared = shared_config(spec)
    for name in ("rms_norm_eps", "rope_scaling"):
        del shared[name]
    return {
        "model_type": "cohere2",
        **shared,
        "layer_norm_eps": spec.norm_eps,
        "rope_theta": spec.rope_local_theta,
        "logit_scale": spec.logit_scale.value(head_dim=spec.head_dim, d_model=spec.d_model),
        **layer_types(spec),
    }


COHERE2 = Target(
    id="cohere2",
    hf_class="Cohere2ForCausalLM",
    expresses=SIZES
    | BIASED
    | {"norm_eps", "activation", "tied", "logit_scale"}
    | {"layer_pattern", "sliding_window", "rope_local_theta", "rope_dims"},
    requires=(
        Requirement("norm", (Norm.LAYERNORM,), "Cohere 2 has LayerNorm"),
        Requirement("norm_placement", (NormPlacement.PARALLEL,), "attention and MLP are side by side in Cohere 2"),
        Requirement("mlp", (Mlp.GATED,), "Cohere 2 has a gated MLP"),
        Requirement("position", (Position.ROPE,), "Cohere 2 has RoPE"),
        Requirement("rope_layout", (RopeLayout.PAIRS,), "Cohere 2 turns neighbours together"),
        Requirement("rope_everywhere", (False,), "only the sliding layers of Cohere 2 have RoPE"),
        Relation("rope_dims", "head_dim", "Cohere 2 turns the whole head"),
        BIASES,
    ),
    naming=Naming(
        rules=(
            *same(ENDS | {"model.layers.{i}.input_layernorm": "layers.{i}.attn_norm"}, "weight"),
            *same(ATTENTION, "weight", "bias"),
            *same(MLP, "weight"),
        ),
        ties=HEAD_TIE,
    ),
    config=_cohere2,
    modules={name: path for name, path in MODULES.items() if name != "logits"},  # a scale follows the head
)
