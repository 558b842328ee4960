"""`ModelSpec`: the complete mathematical description of a decoder-only transformer. No field has a default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.ir.sense import nonsense
from ckpt2hf.ir.text import plain

if TYPE_CHECKING:
    from ckpt2hf.ir.values import (
        Activation,
        Factor,
        LayerPattern,
        Mlp,
        Norm,
        NormPlacement,
        Position,
        QkNorm,
        RopeLayout,
        RopeScaling,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A causal decoder. A field that does not apply has the one value that says so (`ir.sense`).

    The field names are the words of `--set`, of dialect files and of the report.
    """

    layers: int
    """Number of blocks."""
    d_model: int
    """Width of the residual stream; the length of an embedding."""
    heads: int
    """Attention heads in each block: those of the queries."""
    kv_heads: int
    """Heads of keys and values; as many as `heads`, or a divisor of it (grouped queries)."""
    head_dim: int
    """Width of one head."""
    d_ff: int
    """Width inside the MLP; inside each expert where there are experts."""
    vocab: int
    """Token ids run from 0 to one less; as many logits come out."""
    context: int
    """The longest sequence: the rows of the position table, or the length the model was trained with."""
    embed_rows: int
    """Rows of the embedding as stored; those beyond `vocab` are never looked up."""
    head_rows: int
    """Rows of the output layer as stored; those beyond `vocab` are cut off the logits."""
    norm: Norm
    """`layernorm`, or `rmsnorm`, which takes no mean off."""
    norm_placement: NormPlacement
    """Where a block normalises: its input (`pre`), the sum (`post`), what it adds (`output`), both (`sandwich`), or
    once for attention and MLP side by side (`parallel`)."""
    norm_eps: float
    """What every norm adds to the variance."""
    norm_weight: bool
    """Whether the norms have a weight."""
    norm_offset: bool
    """Whether the stored weight of a norm counts from one: 1 + weight is what multiplies."""
    norm_bias: bool
    """Whether the norms have a bias."""
    embed_norm: bool
    """Whether the embedding is normalised, without a weight, before the first block."""
    final_norm: bool
    """Whether a norm stands between the last block and the head."""
    mlp: Mlp
    """`plain`: down(act(up(x))); `gated`: down(act(gate(x)) * up(x))."""
    activation: Activation
    """The function inside the MLP; `gelu` is the exact erf form, `gelu_tanh` the tanh formula."""
    experts: int
    """MLPs in each block of which a router chooses some; 0 for a single MLP."""
    experts_per_token: int
    """How many are chosen for a token, by the softmax of the router, renormalised over them; 0 for a single MLP."""
    position: Position
    """How the model knows the order: `learned` or `sinusoidal` table, `rope`, `none`, or `rope_on_heads`, the mistake
    of turning by the number of the head."""
    position_scale: Factor
    """What the rows of the position table are multiplied with."""
    rope_layout: RopeLayout
    """Which two numbers of a head RoPE turns together: `halves` or neighbouring `pairs`."""
    rope_reversed: bool
    """Whether RoPE turns the other way round, by minus the angle."""
    rope_theta: float
    """The base of RoPE's frequencies; 0 without RoPE."""
    rope_dims: int
    """How many of a head's numbers, from the first on, RoPE turns; 0 without RoPE."""
    rope_scaling: RopeScaling
    """How RoPE's frequencies are stretched: `none`, `linear:FACTOR` or `llama3:FACTOR,LOW,HIGH,ORIGINAL`."""
    rope_local_theta: float
    """The base of RoPE's frequencies in sliding layers; 0 where there are none, or no RoPE in them."""
    rope_everywhere: bool
    """Whether layers that see everything have RoPE, too, and not only sliding ones."""
    layer_pattern: LayerPattern
    """Which layers see everything (`f`) and which a window (`s`), repeated over the layers: `sssssf`."""
    sliding_window: int
    """How many positions, its own among them, a token of a sliding layer sees; 0 where there are none."""
    attention_scale: Factor
    """What the scores `q·k` are multiplied with before the softmax."""
    qk_norm: QkNorm
    """Whether queries and keys are normalised: `none`, over each `head`, or over the whole `width`."""
    qk_norm_weight: bool
    """Whether these norms have a weight."""
    qk_norm_after_rope: bool
    """Whether they come after RoPE, not before it."""
    qkv_bias: bool
    """Whether the projections to q, k and v have a bias."""
    out_bias: bool
    """Whether the projection after attention has a bias."""
    mlp_bias: bool
    """Whether the matrices of the MLP have a bias."""
    head_bias: bool
    """Whether the output layer has a bias."""
    tied: bool
    """Whether the output layer is the embedding itself."""
    embed_scale: Factor
    """What an embedding is multiplied with when it is looked up, rounded to float32 as torch rounds it."""
    logit_scale: Factor
    """What the logits are multiplied with."""
    logit_softcap: float
    """The logits x become cap·tanh(x / cap); 0 where they stay as they are."""

    @property
    def inner(self) -> int:
        """The width of all query heads together."""
        return self.heads * self.head_dim

    @property
    def kv_inner(self) -> int:
        """The width of all key heads together."""
        return self.kv_heads * self.head_dim

    def problems(self) -> list[str]:
        """What is impossible or means nothing about these values taken together; empty for a sound spec."""
        return list(nonsense(self))

    def as_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, in order of declaration."""
        return {name: plain(getattr(self, name)) for name in FIELDS}

    def dims(self) -> dict[str, int]:
        """The lengths and counts that rules name: every integer field, and what follows from them."""
        numbers = {name: value for name in FIELDS if type(value := getattr(self, name)) is int}
        return {
            **numbers,
            "inner": self.inner,
            "kv_inner": self.kv_inner,
            "four_widths": 4 * self.d_model,
            "one": 1,
            "vocab_and_one": self.vocab + 1,
            "one_theta": len({theta for theta in (self.rope_theta, self.rope_local_theta) if theta}),
            "queries": self.heads // max(self.kv_heads, 1) * self.head_dim,
        }


FIELDS: tuple[str, ...] = tuple(ModelSpec.__dataclass_fields__)
"""The names of all fields of a spec, in order of declaration."""
