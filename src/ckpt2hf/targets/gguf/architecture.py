"""One architecture of llama.cpp, and what several of them have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir import Activation, Mlp, Norm, Position
from ckpt2hf.naming import Tie, pattern
from ckpt2hf.targets.target import Architecture, Relation, Requirement

if TYPE_CHECKING:
    from ckpt2hf.ir import ModelSpec

_ATTENTION = {"q": "q", "k": "k", "v": "v", "output": "out"}
ATTENTION = {f"blk.{{i}}.attn_{theirs}": f"layers.{{i}}.attn.{ours}" for theirs, ours in _ATTENTION.items()}
"""The linears of attention, apart."""
MLP = {f"blk.{{i}}.ffn_{part}": f"layers.{{i}}.mlp.{part}" for part in ("gate", "up", "down")}
QK_NORMS = {f"blk.{{i}}.attn_{part}_norm": f"layers.{{i}}.attn.{part}_norm" for part in "qk"}
PRE_NORMS = {"blk.{i}.attn_norm": "layers.{i}.attn_norm", "blk.{i}.ffn_norm": "layers.{i}.mlp_norm"}
ENDS = {"token_embd": "embed", "output_norm": "final_norm", "output": "head"}
TIES = (Tie(pattern("output.weight"), pattern("token_embd.weight")),)
"""llama.cpp takes the embedding where there is no head."""
ALIKE = (
    Requirement("norm", (Norm.RMSNORM,), "it has RMSNorm"),
    Requirement("mlp", (Mlp.GATED,), "it has a gated MLP"),
    Requirement("position", (Position.ROPE,), "it has RoPE"),
    Relation("rope_dims", "head_dim", "it turns the whole head"),
)
"""What Llama and those built like it ask for."""
SILU = Requirement("activation", (Activation.SILU,), "its activation is always SiLU")
GELU_TANH = Requirement("activation", (Activation.GELU_TANH,), "its activation is always the tanh form of GELU")


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufArchitecture(Architecture):
    """Its configuration are keys of the metadata, each after the name of the architecture and a dot."""

    hf_classes: frozenset[str]
    """The classes whose models it computes."""
    tolerance: float
    """How far float32 logits may lie from PyTorch's, by their spread."""

    @property
    def title(self) -> str:
        """As in messages."""
        return f"llama.cpp's {self.id}"


def sizes(spec: ModelSpec) -> dict[str, Any]:
    """Keys that every architecture has."""
    return {
        "context_length": spec.context,
        "embedding_length": spec.d_model,
        "block_count": spec.layers,
        "feed_forward_length": spec.d_ff,
        "attention.head_count": spec.heads,
        "attention.head_count_kv": spec.kv_heads,
        "vocab_size": spec.vocab,
    }


def like_llama(spec: ModelSpec) -> dict[str, Any]:
    """Keys of those with RMSNorm and RoPE."""
    keys = {
        **sizes(spec),
        "attention.layer_norm_rms_epsilon": spec.norm_eps,
        "attention.key_length": spec.head_dim,
        "attention.value_length": spec.head_dim,
        "rope.dimension_count": spec.rope_dims,
        "rope.freq_base": spec.rope_theta,
    }
    if spec.rope_scaling.kind == "linear":
        keys |= {"rope.scaling.type": "linear", "rope.scaling.factor": spec.rope_scaling.numbers[0]}
    return keys


def windows(spec: ModelSpec) -> dict[str, Any]:
    """Keys of those whose layers may see no more than a window."""
    slides = [spec.layer_pattern.slides(i) for i in range(spec.layers)]
    if not any(slides):
        return {}
    return {
        "attention.sliding_window": spec.sliding_window,
        "attention.sliding_window_pattern": slides,
        "rope.freq_base_swa": spec.rope_local_theta,
    }
