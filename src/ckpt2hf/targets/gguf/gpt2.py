"""`gpt2`: GPT-2 with every bias and the tanh form of GELU, whatever the file says.

Source: llama.cpp src/models/gpt2.cpp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Norm, NormPlacement, Position
from ckpt2hf.naming import Naming, SplitTemplate
from ckpt2hf.targets.gguf.architecture import ENDS, GELU_TANH, PRE_NORMS, TIES, GgufArchitecture, sizes
from ckpt2hf.targets.gpt2 import SIZES
from ckpt2hf.targets.target import Relation, Requirement, rule, same

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_QKV = tuple(f"layers.{{i}}.attn.{part}" for part in "qkv")
_THIRDS = SplitTemplate(0, ("inner", "inner", "inner"))
_LINEARS = {
    "blk.{i}.attn_output": "layers.{i}.attn.out",
    "blk.{i}.ffn_up": "layers.{i}.mlp.up",
    "blk.{i}.ffn_down": "layers.{i}.mlp.down",
}
_NORMS = {**PRE_NORMS, "output_norm": "final_norm"}


def _keys(spec: ModelSpec) -> dict[str, Any]:
    return {**sizes(spec), "attention.layer_norm_epsilon": spec.norm_eps}


GPT2 = GgufArchitecture(
    id="gpt2",
    hf_classes=frozenset({"GPT2LMHeadModel"}),
    # ggml looks GELU up in a table of float16. Source: ggml-cpu/vec.h, ggml_vec_gelu_f32.
    tolerance=1e-2,
    expresses=SIZES | {"norm_eps", "tied"},
    requires=(
        GELU_TANH,
        Requirement("norm", (Norm.LAYERNORM,), "it has LayerNorm"),
        Requirement("norm_placement", (NormPlacement.PRE,), "it normalises the input of every block"),
        Requirement("position", (Position.LEARNED,), "it adds a table of positions"),
        Requirement("norm_bias", (True,), "every LayerNorm has a bias"),
        Requirement("qkv_bias", (True,), "the attention input has a bias"),
        Requirement("out_bias", (True,), "the attention output has a bias"),
        Requirement("mlp_bias", (True,), "the MLP has biases"),
        Relation("kv_heads", "heads", "it has as many heads of keys as of queries"),
        Relation("inner", "d_model", "its heads fill the model width exactly"),
    ),
    naming=Naming(
        rules=(
            *same({name: slot for name, slot in ENDS.items() if slot != "final_norm"}, "weight"),
            *same({"position_embd": "positions"}, "weight"),
            *same(_NORMS, "weight", "bias"),
            rule("blk.{i}.attn_qkv.weight", tuple(f"{slot}.weight" for slot in _QKV), _THIRDS),
            rule("blk.{i}.attn_qkv.bias", tuple(f"{slot}.bias" for slot in _QKV), _THIRDS),
            *same(_LINEARS, "weight", "bias"),
        ),
        ties=TIES,
    ),
    config=_keys,
)
