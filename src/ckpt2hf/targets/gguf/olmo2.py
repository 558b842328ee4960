"""`olmo2`, which also computes OLMo 3: norms after each sublayer, queries and keys normalised over their whole width.

Source: llama.cpp src/models/olmo2.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import NormPlacement, QkNorm, RopeLayout
from ckpt2hf.naming import Naming
from ckpt2hf.targets.gguf.architecture import (
    ALIKE,
    ATTENTION,
    ENDS,
    MLP,
    QK_NORMS,
    SILU,
    GgufArchitecture,
    like_llama,
    windows,
)
from ckpt2hf.targets.gguf.qwen3 import INPUTS, OUT
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.layer_types import LAYERS
from ckpt2hf.targets.target import Relation, Requirement, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_AFTER = {"blk.{i}.post_attention_norm": "layers.{i}.attn_norm", "blk.{i}.post_ffw_norm": "layers.{i}.mlp_norm"}


def _keys(spec: ModelSpec) -> dict[str, Any]:
    return {**like_llama(spec), "rope.freq_base": spec.rope_theta or spec.rope_local_theta, **windows(spec)}


OLMO2 = GgufArchitecture(
    id="olmo2",
    hf_classes=frozenset({"Olmo3ForCausalLM"}),
    tolerance=1e-3,
    expresses=SIZES | LAYERS | {"norm_eps", "qkv_bias"},
    requires=(
        *ALIKE,
        SILU,
        Requirement("norm_placement", (NormPlacement.OUTPUT,), "it normalises what each sublayer adds"),
        Requirement("qk_norm", (QkNorm.WIDTH,), "it normalises queries and keys over all heads together"),
        Requirement("qk_norm_weight", (True,), "the norms of queries and keys have weights"),
        Requirement("rope_layout", (RopeLayout.HALVES,), "it turns the two halves of a head together"),
        Requirement("tied", (False,), "it has a head of its own"),
        Relation("one_theta", "one", "RoPE has one base in all layers"),
        Relation("inner", "d_model", "its heads fill the model width exactly"),
    ),
    naming=Naming(
        rules=(
            *same(ENDS | QK_NORMS | MLP | _AFTER | {OUT: ATTENTION[OUT]}, "weight"),
            *same(INPUTS, "weight", "bias"),
        ),
    ),
    config=_keys,
)
