"""Algebraic identities that turn a spec a target cannot express into one it can."""

from ckpt2hf.rewrites.approximate import APPROXIMATE
from ckpt2hf.rewrites.attention_scale import FoldAttentionScale
from ckpt2hf.rewrites.final_norm import FinalNormIntoBlock
from ckpt2hf.rewrites.head_bias import FoldHeadBias
from ckpt2hf.rewrites.leaves import Cast
from ckpt2hf.rewrites.no_rope import ForgetHeadTurns, StandStill
from ckpt2hf.rewrites.norms import NormBeforeRope, ShiftNormWeights, UnitWeights
from ckpt2hf.rewrites.padding import FillHeads, FillMlp
from ckpt2hf.rewrites.rewrite import Exactness, Rewrite, Rewritten
from ckpt2hf.rewrites.rope_layout import TurnForward, TurnHalves
from ckpt2hf.rewrites.rows import CutRows
from ckpt2hf.rewrites.scales import FoldFactor
from ckpt2hf.rewrites.sinusoids import WriteSinusoids
from ckpt2hf.rewrites.turns import TURNS, Turn, without_zero_biases
from ckpt2hf.rewrites.zero_bias import ZeroBias

REWRITES: tuple[Rewrite, ...] = (
    CutRows("embed_rows"),
    CutRows("head_rows"),
    # Zero biases come before folding the head bias, which needs a final norm that has a bias.
    ZeroBias("norm_bias", "LayerNorm bias"),
    ZeroBias("qkv_bias", "attention input bias"),
    ZeroBias("out_bias", "attention output bias"),
    ZeroBias("mlp_bias", "MLP bias"),
    WriteSinusoids(),
    # The mistake of turning by heads is no position at all, and no position is a RoPE that stands still.
    ForgetHeadTurns(),
    StandStill(),
    TurnForward(),
    TurnHalves(),
    NormBeforeRope(),
    UnitWeights("norm_weight", "norms"),
    UnitWeights("qk_norm_weight", "norms of queries and keys"),
    ShiftNormWeights(),
    FoldFactor("embed_scale", "embed.weight", "the factor of the embedding"),
    FoldFactor("position_scale", "positions.weight", "the factor of the positions"),
    FoldFactor("logit_scale", "head.weight", "the factor of the logits"),
    # Wider heads change what the usual scale is, so they come before it.
    FillHeads(),
    FillMlp(),
    FoldAttentionScale(),
    # The head bias goes into the last norm there is, which this one decides.
    FinalNormIntoBlock(),
    FoldHeadBias(),
)
"""Every identity, in the order in which they are tried."""

__all__ = [
    "APPROXIMATE",
    "REWRITES",
    "TURNS",
    "Cast",
    "Exactness",
    "Rewrite",
    "Rewritten",
    "Turn",
    "without_zero_biases",
]
