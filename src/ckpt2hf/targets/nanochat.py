"""`NanoChatForCausalLM`: no weights but matrices, squared ReLU, RoPE the other way round, capped logits.

Source: huggingface/transformers 5.24, models/nanochat/{configuration,modeling}_nanochat.py; 4.57 has no such class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Mlp, Norm, Position, QkNorm, RopeLayout
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.llama import ATTENTION, BIASES, HEAD_TIE, MODULES, PRE, shared_config
from ckpt2hf.targets.target import Relation, Requirement, Target, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec


def _config(spec: ModelSpec) -> dict[str, Any]:
    shared = shared_config(spec)
    del shared["head_dim"]
    return {
        "model_type": "nanochat",
        **shared,
        "final_logit_softcapping": spec.logit_softcap or None,
        # The class takes 1 for padding where nothing is said, which is an ordinary token here.
        "pad_token_id": None,
    }


NANOCHAT = Target(
    id="nanochat",
    hf_class="NanoChatForCausalLM",
    transformers="5.0",
    expresses=SIZES
    | {"norm_eps", "activation", "rope_theta", "rope_dims", "rope_scaling", "qkv_bias", "out_bias"}
    | {"logit_softcap", "tied"},
    requires=(
        Requirement("norm", (Norm.RMSNORM,), "this class has RMSNorm"),
        PRE,
        Requirement("norm_weight", (False,), "the norms of this class have no weight"),
        Requirement("embed_norm", (True,), "this class normalises the embedding"),
        Requirement("mlp", (Mlp.PLAIN,), "this class has a plain MLP"),
        Requirement("position", (Position.ROPE,), "this class has RoPE"),
        Requirement("rope_layout", (RopeLayout.HALVES,), "this class turns the two halves of a head together"),
        Requirement("rope_reversed", (True,), "this class turns by minus the angle"),
        Requirement("qk_norm", (QkNorm.HEAD,), "this class normalises queries and keys over each head"),
        Requirement("qk_norm_weight", (False,), "the norms of queries and keys have no weight in this class"),
        Requirement("qk_norm_after_rope", (True,), "this class normalises queries and keys after RoPE"),
        Relation("rope_dims", "head_dim", "this class turns the whole head"),
        Relation("inner", "d_model", "the heads of this class fill the model width exactly"),
        BIASES,
    ),
    naming=Naming(
        rules=(
            *same({"model.embed_tokens": "embed", "lm_head": "head"}, "weight"),
            *same(ATTENTION, "weight", "bias"),
            *same(
                {"model.layers.{i}.mlp.fc1": "layers.{i}.mlp.up", "model.layers.{i}.mlp.fc2": "layers.{i}.mlp.down"},
                "weight",
            ),
        ),
        ties=HEAD_TIE,
    ),
    config=_config,
    modules={name: path for name, path in MODULES.items() if name != "logits"},  # a softcap follows the head
)
