"""The parts of a block, written from the spec: norms, attention, MLP and experts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - the name the whole PyTorch world uses
from torch import Tensor

from ckpt2hf.ir import Activation, Mlp, Norm, Position, QkNorm
from ckpt2hf.verify.rope import turned

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir import ModelSpec

_ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    Activation.GELU: F.gelu,
    Activation.GELU_TANH: lambda x: F.gelu(x, approximate="tanh"),
    Activation.RELU: F.relu,
    Activation.RELU2: lambda x: F.relu(x).square(),
    Activation.SILU: F.silu,
}


class Sublayers:
    """What the blocks of one spec are made of; `weights` are slots, widened to the type that is computed in."""

    def __init__(self, spec: ModelSpec, weights: Mapping[str, Tensor], dtype: torch.dtype) -> None:
        # No bound method of whoever makes this: a cycle would keep the weights until the garbage is collected.
        self.spec, self.weights, self.dtype = spec, weights, dtype
        self.scale = spec.attention_scale.value(head_dim=spec.head_dim, d_model=spec.d_model)

    def weight(self, name: str) -> Tensor:
        """A slot in the type that is computed in."""
        return self.weights[name].to(self.dtype)

    def linear(self, name: str, x: Tensor, *, bias: bool) -> Tensor:
        """A linear layer by its name."""
        return F.linear(x, self.weight(f"{name}.weight"), self.weight(f"{name}.bias") if bias else None)

    def normalised(self, x: Tensor) -> Tensor:
        """`x` with a mean square (or variance) of one along its last axis."""
        if self.spec.norm is Norm.LAYERNORM:
            return F.layer_norm(x, x.shape[-1:], eps=self.spec.norm_eps)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.spec.norm_eps)

    def norm(self, name: str, x: Tensor) -> Tensor:
        """A norm by its name."""
        return self._weighted(name, x, weight=self.spec.norm_weight, bias=self.spec.norm_bias)

    def _weighted(self, name: str, x: Tensor, *, weight: bool, bias: bool) -> Tensor:
        y = self.normalised(x)
        if weight:
            y = y * (self.weight(f"{name}.weight") + int(self.spec.norm_offset))
        return y + self.weight(f"{name}.bias") if bias else y

    def attention(self, layer: int, x: Tensor, start: int) -> Tensor:
        """What attention makes of `x` `[batch, time, d_model]`: position t sees positions 0..t, or the last of them."""
        spec, name = self.spec, f"layers.{layer}.attn"
        slides = spec.layer_pattern.slides(layer)
        batch, time, _ = x.shape
        q, k, v = (self._heads(name, part, x) for part in "qkv")
        if not spec.qk_norm_after_rope:
            q, k = (self._qk_norm(name, part, y) for part, y in (("q", q), ("k", k)))
        q, k = (self._placed(y, start, slides=slides) for y in (q, k))
        if spec.qk_norm_after_rope:
            q, k = (self._qk_norm(name, part, y) for part, y in (("q", q), ("k", k)))
        k, v = (y.repeat_interleave(spec.heads // spec.kv_heads, dim=1) for y in (k, v))
        scores = q @ k.transpose(2, 3) * self.scale
        unseen = torch.ones(time, time, dtype=torch.bool).triu(1)
        if slides:
            unseen |= torch.ones(time, time, dtype=torch.bool).tril(-spec.sliding_window)
        mixed = scores.masked_fill(unseen, -math.inf).softmax(-1) @ v
        return self.linear(f"{name}.out", mixed.transpose(1, 2).reshape(batch, time, spec.inner), bias=spec.out_bias)

    def _heads(self, name: str, part: str, x: Tensor) -> Tensor:
        """The projection to q, k or v, `[batch, heads, time, head_dim]`."""
        y = self.linear(f"{name}.{part}", x, bias=self.spec.qkv_bias)
        return self._apart(y)

    def _qk_norm(self, name: str, part: str, y: Tensor) -> Tensor:
        spec = self.spec
        if spec.qk_norm is QkNorm.NONE:
            return y
        whole = spec.qk_norm is QkNorm.WIDTH
        flat = y.transpose(1, 2).flatten(2) if whole else y
        flat = self._weighted(f"{name}.{part}_norm", flat, weight=spec.qk_norm_weight, bias=False)
        return self._apart(flat) if whole else flat

    def _apart(self, y: Tensor) -> Tensor:
        """`[batch, time, heads x head_dim]` as `[batch, heads, time, head_dim]`."""
        batch, time, width = y.shape
        return y.view(batch, time, width // self.spec.head_dim, self.spec.head_dim).transpose(1, 2)

    def _placed(self, y: Tensor, start: int, *, slides: bool) -> Tensor:
        """Queries or keys, turned as their positions ask for."""
        spec, heads, time = self.spec, y.shape[1], y.shape[2]
        if spec.position is Position.ROPE and (slides or spec.rope_everywhere):
            return turned(y, torch.arange(start, start + time), spec, sliding=slides)
        if spec.position is Position.ROPE_ON_HEADS:
            return turned(y, torch.arange(heads)[:, None], spec, sliding=slides)
        return y

    def mlp(self, layer: int, x: Tensor) -> Tensor:
        """What the MLP, or the chosen experts, make of `x` `[batch, time, d_model]`."""
        if not self.spec.experts:
            return self._mlp(f"layers.{layer}.mlp", x)
        flat = x.flatten(0, 1)
        shares, chosen = self._routed(layer, flat)
        out = torch.zeros_like(flat)
        for e in range(self.spec.experts):
            token, rank = (chosen == e).nonzero(as_tuple=True)
            if token.numel():
                out[token] += shares[token, rank, None] * self._mlp(f"layers.{layer}.experts.{e}", flat[token])
        return out.view_as(x)

    def _routed(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        """For each token the shares of its experts, which sum to one, and which they are."""
        odds = self.linear(f"layers.{layer}.router", x, bias=False).softmax(-1)
        shares, chosen = odds.topk(self.spec.experts_per_token, dim=-1)
        return shares / shares.sum(-1, keepdim=True), chosen

    def _mlp(self, name: str, x: Tensor) -> Tensor:
        bias, act = self.spec.mlp_bias, _ACTIVATIONS[self.spec.activation]
        up = self.linear(f"{name}.up", x, bias=bias)
        hidden = act(self.linear(f"{name}.gate", x, bias=bias)) * up if self.spec.mlp is Mlp.GATED else act(up)
        return self.linear(f"{name}.down", hidden, bias=bias)
