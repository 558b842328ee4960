"""`GPT2LMHeadModel`: pre-norm, learned positions, every bias, linears stored `[in, out]`.

Source: huggingface/transformers 4.57 and 5.x, models/gpt2/{configuration,modeling}_gpt2.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Activation, Norm, NormPlacement, Position
from ckpt2hf.naming import Drop, Expectation, Naming, SplitTemplate, Tie, TransposeTemplate, pattern
from ckpt2hf.targets.target import Relation, Requirement, Target, rule, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

ACTIVATIONS = {
    # `gelu_pytorch_tanh` calls the same kernel as F.gelu(approximate="tanh"); `gelu_new` spells the formula out.
    Activation.GELU: "gelu",
    Activation.GELU_TANH: "gelu_pytorch_tanh",
    Activation.RELU: "relu",
    Activation.RELU2: "relu2",
    Activation.SILU: "silu",
}
"""What transformers calls each activation. Source: transformers 4.57.6, activations.py (ACT2CLS)."""

_QKV = tuple(f"layers.{{i}}.attn.{part}" for part in "qkv")
_THIRDS = SplitTemplate(0, ("inner", "inner", "inner"))
_TURNED = TransposeTemplate()
_NORMS = {
    "transformer.h.{i}.ln_1": "layers.{i}.attn_norm",
    "transformer.h.{i}.ln_2": "layers.{i}.mlp_norm",
    "transformer.ln_f": "final_norm",
}
_SINGLE = {
    "transformer.h.{i}.attn.c_proj": "layers.{i}.attn.out",
    "transformer.h.{i}.mlp.c_fc": "layers.{i}.mlp.up",
    "transformer.h.{i}.mlp.c_proj": "layers.{i}.mlp.down",
}
LINEARS = (
    rule("transformer.h.{i}.attn.c_attn.weight", tuple(f"{q}.weight" for q in _QKV), _TURNED, _THIRDS),
    rule("transformer.h.{i}.attn.c_attn.bias", tuple(f"{q}.bias" for q in _QKV), _THIRDS),
    *(rule(f"{name}.weight", f"{slot}.weight", _TURNED) for name, slot in _SINGLE.items()),
    *same(_SINGLE, "bias"),
)
"""The rules of a block's linears, which are `Conv1D`."""
_NAMING = Naming(
    rules=(
        *same({"transformer.wte": "embed", "transformer.wpe": "positions", "lm_head": "head"}, "weight"),
        *same(_NORMS, "weight", "bias"),
        *LINEARS,
    ),
    ties=(Tie(pattern("lm_head.weight"), pattern("transformer.wte.weight")),),
    # Masks that transformers saved until 2023, and still ignores.
    drops=(
        Drop(pattern("transformer.h.{i}.attn.bias"), Expectation.CAUSAL_MASK),
        Drop(pattern("transformer.h.{i}.attn.masked_bias"), Expectation.MASKED_SCORE),
    ),
)


def _config(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "vocab_size": spec.vocab,
        "n_positions": spec.context,
        # transformers no longer has n_ctx, but llama.cpp's converter reads it.
        "n_ctx": spec.context,
        "n_embd": spec.d_model,
        "n_layer": spec.layers,
        "n_head": spec.heads,
        "n_inner": spec.d_ff,
        "activation_function": ACTIVATIONS[spec.activation],
        "layer_norm_epsilon": spec.norm_eps,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "reorder_and_upcast_attn": False,
        # Dropout is a matter of training, not of the function: evaluation must not depend on model.eval().
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": spec.tied,
        "use_cache": True,
    }


SIZES = frozenset(
    {"layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff", "vocab", "context", "embed_rows", "head_rows"}
)
"""Fields that are lengths; what they have to be is a matter of relations."""

GPT2 = Target(
    id="gpt2",
    hf_class="GPT2LMHeadModel",
    expresses=SIZES | {"norm_eps", "activation", "tied"},
    requires=(
        Requirement("norm", (Norm.LAYERNORM,), "GPT-2 has LayerNorm"),
        Requirement("norm_placement", (NormPlacement.PRE,), "GPT-2 normalises the input of every block"),
        Requirement("position", (Position.LEARNED,), "GPT-2 adds a table of positions"),
        Requirement("norm_bias", (True,), "every LayerNorm of GPT-2 has a bias"),
        Requirement("qkv_bias", (True,), "the attention input of GPT-2 has a bias"),
        Requirement("out_bias", (True,), "the attention output of GPT-2 has a bias"),
        Requirement("mlp_bias", (True,), "the MLP of GPT-2 has biases"),
        Relation("kv_heads", "heads", "GPT-2 has as many heads of keys as of queries"),
        Relation("inner", "d_model", "the heads of GPT-2 fill the model width exactly"),
    ),
    naming=_NAMING,
    config=_config,
    modules={
        "embed": "transformer.drop",
        "layers.{i}.attn": "transformer.h.{i}.attn",
        "layers.{i}.mlp": "transformer.h.{i}.mlp",
        "layers.{i}": "transformer.h.{i}",
        "final_norm": "transformer.ln_f",
        "logits": "lm_head",
    },
)
