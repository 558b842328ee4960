"""`llama`: RMSNorm, RoPE on neighbouring pairs, a gated MLP with SiLU.

Source: llama.cpp src/models/llama.cpp; src/llama-model.cpp (llama_model_rope_type, create_tensor_qkv).
"""

from __future__ import annotations

from ckpt2hf.ir import NormPlacement, RopeLayout
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gguf.architecture import (
    ALIKE,
    ATTENTION,
    ENDS,
    MLP,
    PRE_NORMS,
    SILU,
    TIES,
    GgufArchitecture,
    like_llama,
)
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.target import Requirement, same

LLAMA = GgufArchitecture(
    id="llama",
    hf_classes=frozenset({"LlamaForCausalLM"}),
    tolerance=1e-3,
    expresses=SIZES
    | {"norm_eps", "rope_theta", "rope_dims", "rope_scaling", "tied"}
    | {"qkv_bias", "out_bias", "mlp_bias"},
    requires=(
        *ALIKE,
        SILU,
        Requirement("norm_placement", (NormPlacement.PRE,), "it normalises the input of every sublayer"),
        Requirement("rope_layout", (RopeLayout.PAIRS,), "it turns neighbouring pairs"),
    ),
    naming=Naming(
        rules=(*same(ENDS | PRE_NORMS, "weight"), *same(ATTENTION | MLP, "weight", "bias")),
        ties=TIES,
    ),
    config=like_llama,
)
