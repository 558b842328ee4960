"""Algebraic identities that turn a spec a target cannot express into one it can."""

from ckpt2hf.rewrites.attention_scale import FoldAttentionScale
from ckpt2hf.rewrites.head_bias import FoldHeadBias
from ckpt2hf.rewrites.leaves import Cast
from ckpt2hf.rewrites.rewrite import Exactness, Rewrite, Rewritten
from ckpt2hf.rewrites.zero_bias import ZeroBias

REWRITES: tuple[Rewrite, ...] = (
    # Zero biases come first: folding the head bias needs a final norm that has a bias.
    ZeroBias("norm_bias", "LayerNorm bias"),
    ZeroBias("qkv_bias", "attention input bias"),
    ZeroBias("out_bias", "attention output bias"),
    ZeroBias("mlp_bias", "MLP bias"),
    FoldAttentionScale(),
    FoldHeadBias(),
)
"""Every identity, in the order in which they are tried."""

__all__ = ["REWRITES", "Cast", "Exactness", "Rewrite", "Rewritten"]
