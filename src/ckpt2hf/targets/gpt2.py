"""`GPT2LMHeadModel`: pre-norm, learned positions, every bias, linears stored `[in, out]`.

Source: huggingface/transformers 4.57 and 5.x, models/gpt2/{configuration,modeling}_gpt2.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir.spec import Activation, AttentionScale, NormPlacement
from ckpt2hf.naming import Naming, Rule, SplitTemplate, Tie, TransposeTemplate, pattern
from ckpt2hf.targets.target import Relation, Requirement, Target

if TYPE_CHECKING:
    from ckpt2hf.ir.spec import ModelSpec
    from ckpt2hf.naming import OpTemplate

ACTIVATIONS = {
    # `gelu_pytorch_tanh` calls the same kernel as F.gelu(approximate="tanh"); `gelu_new` spells the formula out.
    Activation.GELU: "gelu",
    Activation.GELU_TANH: "gelu_pytorch_tanh",
    Activation.RELU: "relu",
    Activation.SILU: "silu",
}


def _rule(name: str, slots: str | tuple[str, ...], *ops: OpTemplate) -> Rule:
    parts = (slots,) if isinstance(slots, str) else slots
    return Rule((pattern(name),), tuple(pattern(part) for part in parts), ops)


_QKV = tuple(f"layers.{{i}}.attn.{part}" for part in "qkv")
_THIRDS = SplitTemplate(0, ("inner", "inner", "inner"))

_NAMING = Naming(
    rules=(
        _rule("transformer.wte.weight", "embed.weight"),
        _rule("transformer.wpe.weight", "positions.weight"),
        _rule("transformer.h.{i}.ln_1.weight", "layers.{i}.attn_norm.weight"),
        _rule("transformer.h.{i}.ln_1.bias", "layers.{i}.attn_norm.bias"),
        _rule("transformer.h.{i}.attn.c_attn.weight", tuple(f"{q}.weight" for q in _QKV), TransposeTemplate(), _THIRDS),
        _rule("transformer.h.{i}.attn.c_attn.bias", tuple(f"{q}.bias" for q in _QKV), _THIRDS),
        _rule("transformer.h.{i}.attn.c_proj.weight", "layers.{i}.attn.out.weight", TransposeTemplate()),
        _rule("transformer.h.{i}.attn.c_proj.bias", "layers.{i}.attn.out.bias"),
        _rule("transformer.h.{i}.ln_2.weight", "layers.{i}.mlp_norm.weight"),
        _rule("transformer.h.{i}.ln_2.bias", "layers.{i}.mlp_norm.bias"),
        _rule("transformer.h.{i}.mlp.c_fc.weight", "layers.{i}.mlp.up.weight", TransposeTemplate()),
        _rule("transformer.h.{i}.mlp.c_fc.bias", "layers.{i}.mlp.up.bias"),
        _rule("transformer.h.{i}.mlp.c_proj.weight", "layers.{i}.mlp.down.weight", TransposeTemplate()),
        _rule("transformer.h.{i}.mlp.c_proj.bias", "layers.{i}.mlp.down.bias"),
        _rule("transformer.ln_f.weight", "final_norm.weight"),
        _rule("transformer.ln_f.bias", "final_norm.bias"),
        _rule("lm_head.weight", "head.weight"),
    ),
    ties=(Tie(pattern("lm_head.weight"), pattern("transformer.wte.weight")),),
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


GPT2 = Target(
    id="gpt2",
    hf_class="GPT2LMHeadModel",
    requires=(
        Requirement("norm_placement", (NormPlacement.PRE,), "GPT-2 normalises the input of every block"),
        Requirement("final_norm", (True,), "GPT-2 always has a final LayerNorm"),
        Requirement("norm_bias", (True,), "every LayerNorm of GPT-2 has a bias"),
        Requirement("qkv_bias", (True,), "the attention input of GPT-2 has a bias"),
        Requirement("out_bias", (True,), "the attention output of GPT-2 has a bias"),
        Requirement("mlp_bias", (True,), "the MLP of GPT-2 has biases"),
        Requirement("head_bias", (False,), "the head of GPT-2 has no bias"),
        Requirement("attention_scale", (AttentionScale("head_dim**-0.5"),), "GPT-2 always scales with head_dim**-0.5"),
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
