"""`OpenAIGPTLMHeadModel`: the first GPT. Post-norm, no final norm, otherwise as GPT-2, an MLP of four times the width.

Source: huggingface/transformers 4.57 and 5.x, models/openai/{configuration,modeling}_openai.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Activation, Norm, NormPlacement, Position
from ckpt2hf.naming import Drop, Expectation, Naming, Tie, pattern
from ckpt2hf.targets.gpt2 import LINEARS, SIZES
from ckpt2hf.targets.target import Relation, Requirement, Target, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_ACTIVATIONS = {
    # Its own table: "gelu" is the tanh formula here, and the erf form is missing.
    Activation.GELU_TANH: "gelu",
    Activation.RELU: "relu",
    Activation.SILU: "silu",
}
_NORMS = {"transformer.h.{i}.ln_1": "layers.{i}.attn_norm", "transformer.h.{i}.ln_2": "layers.{i}.mlp_norm"}
_NAMING = Naming(
    rules=(
        *same(
            {"transformer.tokens_embed": "embed", "transformer.positions_embed": "positions", "lm_head": "head"},
            "weight",
        ),
        *same(_NORMS, "weight", "bias"),
        *LINEARS,
    ),
    ties=(Tie(pattern("lm_head.weight"), pattern("transformer.tokens_embed.weight")),),
    drops=(
        Drop(pattern("transformer.h.{i}.attn.bias"), Expectation.CAUSAL_MASK),
        Drop(pattern("transformer.position_ids"), Expectation.POSITION_IDS),
    ),
)


def _config(spec: ModelSpec) -> dict[str, Any]:
    return {
        "model_type": "openai-gpt",
        "vocab_size": spec.vocab,
        "n_positions": spec.context,
        "n_embd": spec.d_model,
        "n_layer": spec.layers,
        "n_head": spec.heads,
        "afn": _ACTIVATIONS[spec.activation],
        "layer_norm_epsilon": spec.norm_eps,
        "attn_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": spec.tied,
    }


OPENAI_GPT = Target(
    id="openai-gpt",
    hf_class="OpenAIGPTLMHeadModel",
    expresses=SIZES | {"norm_eps", "tied"},
    requires=(
        Requirement("norm", (Norm.LAYERNORM,), "the first GPT has LayerNorm"),
        Requirement("norm_placement", (NormPlacement.POST,), "the first GPT normalises the sum after each sublayer"),
        Requirement("final_norm", (False,), "the first GPT has no norm after its last block"),
        Requirement("activation", tuple(_ACTIVATIONS), "its class knows these only: erf GELU is not among them"),
        Requirement("position", (Position.LEARNED,), "the first GPT adds a table of positions"),
        Requirement("norm_bias", (True,), "every LayerNorm of the first GPT has a bias"),
        Requirement("qkv_bias", (True,), "the attention input of the first GPT has a bias"),
        Requirement("out_bias", (True,), "the attention output of the first GPT has a bias"),
        Requirement("mlp_bias", (True,), "the MLP of the first GPT has biases"),
        Relation("kv_heads", "heads", "the first GPT has as many heads of keys as of queries"),
        Relation("inner", "d_model", "the heads of the first GPT fill the model width exactly"),
        Relation("d_ff", "four_widths", "the MLP of the first GPT is four times as wide as the model"),
    ),
    naming=_NAMING,
    config=_config,
    modules={
        "embed": "transformer.drop",
        "layers.{i}.attn": "transformer.h.{i}.attn",
        "layers.{i}.mlp": "transformer.h.{i}.mlp",
        "layers.{i}": "transformer.h.{i}",
        "logits": "lm_head",
    },
)
