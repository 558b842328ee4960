"""`qwen3`: RoPE on halves, queries and keys normalised over each head before it.

Source: llama.cpp src/models/qwen3.cpp.
"""

from __future__ import annotations

from ckpt2hf.ir import NormPlacement, QkNorm, RopeLayout
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gguf.architecture import (
    ALIKE,
    ATTENTION,
    ENDS,
    MLP,
    PRE_NORMS,
    QK_NORMS,
    SILU,
    TIES,
    GgufArchitecture,
    like_llama,
)
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.target import Requirement, same

OUT = "blk.{i}.attn_output"
HEAD_NORMS = (
    Requirement("qk_norm", (QkNorm.HEAD,), "it normalises queries and keys over each head"),
    Requirement("qk_norm_weight", (True,), "the norms of queries and keys have weights"),
    Requirement("rope_layout", (RopeLayout.HALVES,), "it turns the two halves of a head together"),
)
INPUTS = {name: slot for name, slot in ATTENTION.items() if name != OUT}
"""The linears of attention that may have a bias."""

QWEN3 = GgufArchitecture(
    id="qwen3",
    hf_classes=frozenset({"Qwen3ForCausalLM"}),
    tolerance=1e-3,
    expresses=SIZES | {"norm_eps", "rope_theta", "rope_dims", "tied", "qkv_bias"},
    requires=(
        *ALIKE,
        *HEAD_NORMS,
        SILU,
        Requirement("norm_placement", (NormPlacement.PRE,), "it normalises the input of every sublayer"),
    ),
    naming=Naming(
        rules=(
            *same(ENDS | PRE_NORMS | QK_NORMS | MLP | {OUT: ATTENTION[OUT]}, "weight"),
            *same(INPUTS, "weight", "bias"),
        ),
        ties=TIES,
    ),
    config=like_llama,
)
