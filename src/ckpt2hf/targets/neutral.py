"""What a class does where nothing is said: the value of a field that every class has, unless it says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ckpt2hf.ir import Factor, LayerPattern, Mlp, QkNorm, RopeLayout, RopeScaling

if TYPE_CHECKING:
    from collections.abc import Mapping


class Neutral(NamedTuple):
    """A value, and what is said about a class that has no other."""

    value: Any
    why: str


_NO_ROPE = "has no RoPE"
_ALIKE = "has the same attention in every layer"
NEUTRAL: Mapping[str, Neutral] = {
    "norm_weight": Neutral(value=True, why="has a weight in every norm"),
    "norm_offset": Neutral(value=False, why="multiplies with the weight of a norm as it is"),
    "norm_bias": Neutral(value=False, why="has no bias in its norms"),
    "embed_norm": Neutral(value=False, why="does not normalise the embedding"),
    "final_norm": Neutral(value=True, why="always has a final norm"),
    "mlp": Neutral(Mlp.PLAIN, "has a plain MLP"),
    "experts": Neutral(0, "has no experts"),
    "experts_per_token": Neutral(0, "has no experts"),
    "position_scale": Neutral(Factor("1"), "adds positions as they are"),
    "rope_layout": Neutral(RopeLayout.NONE, _NO_ROPE),
    "rope_reversed": Neutral(value=False, why="turns by plus the angle"),
    "rope_theta": Neutral(0.0, _NO_ROPE),
    "rope_dims": Neutral(0, _NO_ROPE),
    "rope_scaling": Neutral(RopeScaling("none"), "does not stretch frequencies"),
    "rope_local_theta": Neutral(0.0, _ALIKE),
    "rope_everywhere": Neutral(value=True, why=_ALIKE),
    "layer_pattern": Neutral(LayerPattern("f"), _ALIKE),
    "sliding_window": Neutral(0, _ALIKE),
    "attention_scale": Neutral(Factor("head_dim**-0.5"), "always scales with head_dim**-0.5"),
    "qk_norm": Neutral(QkNorm.NONE, "does not normalise queries and keys"),
    "qk_norm_weight": Neutral(value=False, why="does not normalise queries and keys"),
    "qk_norm_after_rope": Neutral(value=False, why="does not normalise queries and keys after RoPE"),
    "qkv_bias": Neutral(value=False, why="has no bias in the attention input"),
    "out_bias": Neutral(value=False, why="has no bias in the attention output"),
    "mlp_bias": Neutral(value=False, why="has no bias in the MLP"),
    "head_bias": Neutral(value=False, why="has no bias in the head"),
    "embed_scale": Neutral(Factor("1"), "takes embeddings as they are"),
    "logit_scale": Neutral(Factor("1"), "gives logits as the head computes them"),
    "logit_softcap": Neutral(0.0, "gives logits as the head computes them"),
}
