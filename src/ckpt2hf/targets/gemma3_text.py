"""`Gemma3ForCausalLM`: norms on both sides of each sublayer that count from one, windows, two bases of RoPE.

Source: huggingface/transformers 4.57 and 5.x, models/gemma3/{configuration,modeling}_gemma3.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Factor, NormPlacement
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gpt2 import ACTIVATIONS, SIZES
from ckpt2hf.targets.layer_types import BIASED, LAYERS, layer_types
from ckpt2hf.targets.llama import ALIKE, ATTENTION, BIASES, ENDS, HEAD_TIE, MLP, MODULES, UNEVEN, shared_config
from ckpt2hf.targets.qwen3 import HEAD_NORMS, QK_NORMS
from ckpt2hf.targets.target import Requirement, Target, Unopened, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_WHOLE = 1e-9
"""How far 24**-0.5 to the power of -2 may lie from 24: its own rounding."""


def _scalar(spec: ModelSpec) -> float:
    """The attention scale as this class spells it: a number whose inverse root it is, an integer if that is all."""
    if spec.attention_scale == Factor("head_dim**-0.5"):
        return spec.head_dim
    scalar = spec.attention_scale.value(head_dim=spec.head_dim, d_model=spec.d_model) ** -2
    return round(scalar) if abs(round(scalar) - scalar) < _WHOLE else scalar


def _fraction(spec: ModelSpec) -> str | None:
    scalar = _scalar(spec)
    return None if isinstance(scalar, int) else f"query_pre_attn_scalar, {scalar:g}, is no whole number"


def _gemma3(spec: ModelSpec) -> dict[str, Any]:
    shared = shared_config(spec)
    del shared["hidden_act"]
    return {
        "model_type": "gemma3_text",
        **shared,
        "hidden_activation": ACTIVATIONS[spec.activation],
        "query_pre_attn_scalar": _scalar(spec),
        "rope_theta": spec.rope_theta or spec.rope_local_theta,
        "rope_local_base_freq": spec.rope_local_theta or spec.rope_theta,
        **layer_types(spec),
        "attn_logit_softcapping": None,
        "final_logit_softcapping": spec.logit_softcap or None,
    }


GEMMA3 = Target(
    id="gemma3_text",
    hf_class="Gemma3ForCausalLM",
    expresses=SIZES | LAYERS | BIASED | {"norm_eps", "activation", "attention_scale", "logit_softcap", "tied"},
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
    unopened=(UNEVEN, Unopened("transformers 5", "attention_scale", _fraction)),
)
