"""Classes whose layers differ, some sliding over a window and some seeing everything: Gemma 3, OLMo 3, Cohere 2.

Source: huggingface/transformers 4.57 and 5.x, models/{gemma3,olmo3,cohere2}.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Factor, Mlp, Norm, NormPlacement, Position, QkNorm, RopeLayout
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gpt2 import ACTIVATIONS, SIZES
from ckpt2hf.targets.llama import ALIKE, ATTENTION, BIASES, ENDS, HEAD_TIE, MLP, MODULES, shared_config
from ckpt2hf.targets.qwen3 import HEAD_NORMS, QK_NORMS
from ckpt2hf.targets.target import Relation, Requirement, Target, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_LAYERS = frozenset({"layer_pattern", "sliding_window", "rope_local_theta", "rope_theta", "rope_dims"})
_BIASED = frozenset({"qkv_bias", "out_bias"})


def _layer_types(spec: ModelSpec) -> dict[str, Any]:
    slides = [spec.layer_pattern.slides(i) for i in range(spec.layers)]
    return {
        "layer_types": ["sliding_attention" if each else "full_attention" for each in slides],
        # Without sliding layers the length is never looked at, but the classes want a number.
        "sliding_window": spec.sliding_window or spec.context,
    }


def _gemma3(spec: ModelSpec) -> dict[str, Any]:
    shared = shared_config(spec)
    del shared["hidden_act"]
    scale = spec.attention_scale.value(head_dim=spec.head_dim, d_model=spec.d_model)
    usual = spec.attention_scale == Factor("head_dim**-0.5")
    return {
        "model_type": "gemma3_text",
        **shared,
        "hidden_activation": ACTIVATIONS[spec.activation],
        "query_pre_attn_scalar": spec.head_dim if usual else scale**-2,
        "rope_theta": spec.rope_theta or spec.rope_local_theta,
        "rope_local_base_freq": spec.rope_local_theta or spec.rope_theta,
        **_layer_types(spec),
        "attn_logit_softcapping": None,
        "final_logit_softcapping": spec.logit_softcap or None,
    }


GEMMA3 = Target(
    id="gemma3_text",
    hf_class="Gemma3ForCausalLM",
    expresses=SIZES | _LAYERS | _BIASED | {"norm_eps", "activation", "attention_scale", "logit_softcap", "tied"},
    requires=(
        *ALIKE,
        BIASES,
        *HEAD_NORMS,
        Requirement("norm_placement", (NormPlacement.SANDWICH,), "Gemma 3 normalises before and after each sublayer"),
        Requirement("norm_offset", (True,), "Gemma 3 multiplies with one plus the weight of a norm"),
        Requirement("embed_scale", (Factor("d_model**0.5"),), "Gemma 3 multiplies embeddings with d_model**0.5"),
    ),
    naming=Naming(
        rules=(
            *same(ENDS | QK_NORMS, "weight"),
            *same(
                {
                    "model.layers.{i}.input_layernorm": "layers.{i}.attn_norm",
                    "model.layers.{i}.post_attention_layernorm": "layers.{i}.attn_out_norm",
                    "model.layers.{i}.pre_feedforward_layernorm": "layers.{i}.mlp_norm",
                    "model.layers.{i}.post_feedforward_layernorm": "layers.{i}.mlp_out_norm",
                },
                "weight",
            ),
            *same(ATTENTION, "weight", "bias"),
            *same(MLP, "weight"),
        ),
        ties=HEAD_TIE,
    ),
    config=_gemma3,
    modules={name: path for name, path in MODULES.items() if name != "logits"},  # a softcap may follow the head
)

OLMO3 = Target(
    id="olmo3",
    hf_class="Olmo3ForCausalLM",
    expresses=SIZES | _LAYERS | _BIASED | {"norm_eps", "activation", "tied"},
    requires=(
        *ALIKE,
        BIASES,
        Requirement("norm_placement", (NormPlacement.OUTPUT,), "OLMo 3 normalises what each sublayer adds"),
        Requirement("qk_norm", (QkNorm.WIDTH,), "OLMo 3 normalises queries and keys over all heads together"),
        Requirement("qk_norm_weight", (True,), "the norms of queries and keys have weights in OLMo 3"),
        Relation("one_theta", "one", "RoPE has the same base in every layer of OLMo 3"),
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
    config=lambda spec: {
        "model_type": "olmo3",
        **shared_config(spec),
        "rope_theta": spec.rope_theta or spec.rope_local_theta,
        **_layer_types(spec),
    },
    modules=MODULES,
)


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
        **_layer_types(spec),
    }


COHERE2 = Target(
    id="cohere2",
    hf_class="Cohere2ForCausalLM",
    expresses=SIZES
    | _BIASED
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
