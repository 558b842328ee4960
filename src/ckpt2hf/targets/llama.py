"""`LlamaForCausalLM` and what is built alike: RMSNorm, RoPE on halves, a gated MLP.

Source: huggingface/transformers 4.57 and 5.x, models/llama/{configuration,modeling}_llama.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Mlp, Norm, NormPlacement, Position, RopeLayout
from ckpt2hf.naming import Drop, Expectation, Naming, Tie, pattern
from ckpt2hf.targets.gpt2 import ACTIVATIONS, SIZES
from ckpt2hf.targets.target import Relation, Requirement, Target, Together, Unopened, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

ATTENTION = {f"model.layers.{{i}}.self_attn.{part}_proj": f"layers.{{i}}.attn.{part}" for part in "qkv"} | {
    "model.layers.{i}.self_attn.o_proj": "layers.{i}.attn.out"
}
"""The linear layers of attention, as all classes of this family name them."""
MLP = {f"model.layers.{{i}}.mlp.{part}_proj": f"layers.{{i}}.mlp.{part}" for part in ("gate", "up", "down")}
"""The linear layers of the MLP, likewise."""
ENDS = {"model.embed_tokens": "embed", "model.norm": "final_norm", "lm_head": "head"}
"""What comes before and after the blocks."""
PRE_NORMS = {
    "model.layers.{i}.input_layernorm": "layers.{i}.attn_norm",
    "model.layers.{i}.post_attention_layernorm": "layers.{i}.mlp_norm",
}
"""The norms of a pre-norm block."""
HEAD_TIE = (Tie(pattern("lm_head.weight"), pattern("model.embed_tokens.weight")),)
FREQUENCIES = Drop(pattern("model.layers.{i}.self_attn.rotary_emb.inv_freq"), Expectation.ROPE_FREQUENCIES)
"""What transformers saved with each layer until 2023, and still ignores."""
MODULES = {
    "embed": "model.embed_tokens",
    "layers.{i}.attn": "model.layers.{i}.self_attn",
    "layers.{i}.mlp": "model.layers.{i}.mlp",
    "layers.{i}": "model.layers.{i}",
    "final_norm": "model.norm",
    "logits": "lm_head",
}
ALIKE = (
    Requirement("norm", (Norm.RMSNORM,), "this class has RMSNorm"),
    Requirement("mlp", (Mlp.GATED,), "this class has a gated MLP"),
    Requirement("position", (Position.ROPE,), "this class has RoPE"),
    Requirement("rope_layout", (RopeLayout.HALVES,), "this class turns the two halves of a head together"),
    Relation("rope_dims", "head_dim", "this class turns the whole head"),
)
"""What all classes of this family ask for."""
PRE = Requirement("norm_placement", (NormPlacement.PRE,), "this class normalises the input of every sublayer")


def _uneven(spec: ModelSpec) -> str | None:
    return f"{spec.heads} heads do not divide the width of {spec.d_model}" if spec.d_model % spec.heads else None


UNEVEN = Unopened("transformers 5", "d_model", _uneven)
"""Although head_dim is said, which decides. Source: 5.24, `validate_architecture` of LlamaConfig, Gemma3TextConfig."""
BIASES = Together("qkv_bias", "out_bias", "attention_bias gives both projections a bias, or none")


def rope_scaling(spec: ModelSpec) -> dict[str, Any] | None:
    """The scaling of RoPE as transformers 4 writes it; 5.x reads that, too."""
    names = {"linear": ("factor",), "llama3": _LLAMA3}
    kind = spec.rope_scaling.kind
    if kind == "none":
        return None
    made: dict[str, Any] = {"rope_type": kind, **dict(zip(names[kind], spec.rope_scaling.numbers, strict=True))}
    if kind == "llama3":
        made[_LLAMA3[-1]] = int(made[_LLAMA3[-1]])  # a length, which transformers wants as a whole number
    return made


_LLAMA3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")


def shared_config(spec: ModelSpec) -> dict[str, Any]:
    """The settings that all classes of this family have."""
    return {
        "vocab_size": spec.vocab,
        "hidden_size": spec.d_model,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        "intermediate_size": spec.d_ff,
        "hidden_act": ACTIVATIONS[spec.activation],
        "max_position_embeddings": spec.context,
        "rms_norm_eps": spec.norm_eps,
        "rope_theta": spec.rope_theta,
        "rope_scaling": rope_scaling(spec),
        "attention_bias": spec.qkv_bias,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": spec.tied,
        "use_cache": True,
    }


def _config(spec: ModelSpec) -> dict[str, Any]:
    return {"model_type": "llama", **shared_config(spec), "mlp_bias": spec.mlp_bias, "pretraining_tp": 1}


LLAMA = Target(
    id="llama",
    hf_class="LlamaForCausalLM",
    expresses=SIZES
    | {"norm_eps", "activation", "rope_theta", "rope_dims", "rope_scaling", "tied"}
    | {"qkv_bias", "out_bias", "mlp_bias"},
    requires=(*ALIKE, PRE, BIASES),
    naming=Naming(
        rules=(*same(ENDS | PRE_NORMS, "weight"), *same(ATTENTION | MLP, "weight", "bias")),
        ties=HEAD_TIE,
        drops=(FREQUENCIES,),
    ),
    config=_config,
    modules=MODULES,
    unopened=(UNEVEN,),
)
