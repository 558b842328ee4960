"""`gemma3`: norms on both sides of each sublayer, windows in some layers, two bases of RoPE.

Source: llama.cpp src/models/gemma3.cpp; src/llama-model.cpp (load_swa_pattern).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Factor, NormPlacement
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gguf.architecture import (
    ALIKE,
    ATTENTION,
    ENDS,
    GELU_TANH,
    MLP,
    PRE_NORMS,
    QK_NORMS,
    TIES,
    GgufArchitecture,
    like_llama,
    windows,
)
from ckpt2hf.targets.gguf.qwen3 import HEAD_NORMS, INPUTS, OUT
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.layer_types import LAYERS
from ckpt2hf.targets.target import Requirement, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_AFTER = {"blk.{i}.post_attention_norm": "layers.{i}.attn_out_norm", "blk.{i}.post_ffw_norm": "layers.{i}.mlp_out_norm"}


def _keys(spec: ModelSpec) -> dict[str, Any]:
    keys = {**like_llama(spec), "rope.freq_base": spec.rope_theta or spec.rope_local_theta}
    if spec.logit_softcap:
        keys["final_logit_softcapping"] = spec.logit_softcap
    return {**keys, **windows(spec)}


GEMMA3 = GgufArchitecture(
    id="gemma3",
    hf_classes=frozenset({"Gemma3ForCausalLM"}),
    tolerance=1e-2,
    expresses=SIZES | LAYERS | {"norm_eps", "logit_softcap", "tied", "qkv_bias"},
    requires=(
        *ALIKE,
        *HEAD_NORMS,
        GELU_TANH,
        Requirement("norm_placement", (NormPlacement.SANDWICH,), "it normalises before and after each sublayer"),
        Requirement("embed_scale", (Factor("d_model**0.5"),), "it multiplies embeddings with d_model**0.5"),
    ),
    naming=Naming(
        rules=(
            *same(ENDS | PRE_NORMS | QK_NORMS | MLP | _AFTER | {OUT: ATTENTION[OUT]}, "weight"),
            *same(INPUTS, "weight", "bias"),
        ),
        ties=TIES,
    ),
    config=_keys,
)
