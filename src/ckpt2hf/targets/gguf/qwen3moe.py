"""`qwen3moe`: qwen3 with experts in place of the MLP, the matrices of all of them in one tensor.

Source: llama.cpp src/models/qwen3moe.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import NormPlacement
from ckpt2hf.naming import Naming, UnstackTemplate
from ckpt2hf.targets.gguf.architecture import (
    ALIKE,
    ATTENTION,
    ENDS,
    PRE_NORMS,
    QK_NORMS,
    SILU,
    TIES,
    GgufArchitecture,
    like_llama,
)
from ckpt2hf.targets.gguf.qwen3 import HEAD_NORMS, INPUTS, OUT
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.target import Requirement, rule, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_EXPERTS = tuple(
    rule(f"blk.{{i}}.ffn_{part}_exps.weight", f"layers.{{i}}.experts.{{e}}.{part}.weight", UnstackTemplate("experts"))
    for part in ("gate", "up", "down")
)


def _keys(spec: ModelSpec) -> dict[str, Any]:
    counts = {"expert_count": spec.experts, "expert_used_count": spec.experts_per_token}
    return {**like_llama(spec), **counts, "expert_feed_forward_length": spec.d_ff}


QWEN3MOE = GgufArchitecture(
    id="qwen3moe",
    hf_classes=frozenset({"Qwen3MoeForCausalLM"}),
    tolerance=1e-3,
    expresses=SIZES | {"norm_eps", "rope_theta", "rope_dims", "tied", "qkv_bias"} | {"experts", "experts_per_token"},
    requires=(
        *ALIKE,
        *HEAD_NORMS,
        SILU,
        Requirement("norm_placement", (NormPlacement.PRE,), "it normalises the input of every sublayer"),
    ),
    naming=Naming(
        rules=(
            *same(
                ENDS | PRE_NORMS | QK_NORMS | {OUT: ATTENTION[OUT], "blk.{i}.ffn_gate_inp": "layers.{i}.router"},
                "weight",
            ),
            *same(INPUTS, "weight", "bias"),
            *_EXPERTS,
        ),
        ties=TIES,
    ),
    config=_keys,
)
