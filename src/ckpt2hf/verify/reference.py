"""The forward pass of a `ModelSpec`, written from the spec alone: what every converted model is compared with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - the name the whole PyTorch world uses
from torch import Tensor

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir.spec import Activation, NormPlacement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ckpt2hf.ir.spec import ModelSpec

Trace: TypeAlias = dict[str, Tensor]
"""Activations `[batch, time, …]` by name, in order of execution.

`embed`, then for every layer `layers.{i}.attn` and `layers.{i}.mlp` (what each sublayer adds to the residual) and
`layers.{i}` (what the block hands on), then `final_norm` where there is one, and `logits`.
"""

_HEAD_ROWS = 4096
"""Rows of the output matrix widened at a time: a float64 copy of a large vocabulary would be the peak of memory."""

_ACTIVATIONS: Mapping[Activation, Callable[[Tensor], Tensor]] = {
    Activation.GELU: F.gelu,
    Activation.GELU_TANH: lambda x: F.gelu(x, approximate="tanh"),
    Activation.RELU: F.relu,
    Activation.SILU: F.silu,
}


def reference(
    spec: ModelSpec,
    weights: Mapping[str, Tensor],
    tokens: Tensor,
    *,
    trace: Trace | None = None,
    dtype: torch.dtype | None = None,
    start: int = 0,
) -> Tensor:
    """The logits `[batch, time, vocab]` of `tokens` `[batch, time]`, whose first column is at position `start`.

    `weights` are slots. `dtype` is what to compute in, by default the type of the embedding; weights of another type
    are converted one matrix at a time, so a float64 pass over float32 weights needs no second copy of the model.
    """
    forward = _Forward(spec, weights, dtype or weights["embed.weight"].dtype, trace)
    with torch.no_grad():
        return forward(tokens, start)


class _Forward:
    """One pass: the spec, where its weights are, and what is to be recorded."""

    def __init__(self, spec: ModelSpec, weights: Mapping[str, Tensor], dtype: torch.dtype, trace: Trace | None) -> None:
        self.spec, self.weights, self.dtype, self.trace = spec, weights, dtype, trace
        self.scale = spec.attention_scale.value(head_dim=spec.head_dim, d_model=spec.d_model)

    def __call__(self, tokens: Tensor, start: int) -> Tensor:
        spec = self.spec
        stop = start + tokens.shape[1]
        if stop > spec.context:
            raise BrokenPromiseError(f"a probe reaches position {stop - 1} of a context of {spec.context}")
        rows = F.embedding(tokens, self.weights["embed.weight"]).to(self.dtype)
        x = self._keep("embed", rows + self.weights["positions.weight"][start:stop].to(self.dtype))
        for i in range(spec.layers):
            x = self._keep(f"layers.{i}", self._block(f"layers.{i}", x))
        if spec.final_norm:
            x = self._keep("final_norm", self._norm("final_norm", x))
        return self._keep("logits", self._head(x))

    def _keep(self, name: str, value: Tensor) -> Tensor:
        if self.trace is not None:
            self.trace[name] = value
        return value

    def _weight(self, name: str) -> Tensor:
        return self.weights[name].to(self.dtype)

    def _linear(self, name: str, x: Tensor, *, bias: bool) -> Tensor:
        return F.linear(x, self._weight(f"{name}.weight"), self._weight(f"{name}.bias") if bias else None)

    def _norm(self, name: str, x: Tensor) -> Tensor:
        bias = self._weight(f"{name}.bias") if self.spec.norm_bias else None
        return F.layer_norm(x, (self.spec.d_model,), self._weight(f"{name}.weight"), bias, self.spec.norm_eps)

    def _block(self, at: str, x: Tensor) -> Tensor:
        for part, sublayer in (("attn", self._attention), ("mlp", self._mlp)):
            name, norm = f"{at}.{part}", f"{at}.{part}_norm"
            if self.spec.norm_placement is NormPlacement.PRE:
                x = x + self._keep(name, sublayer(name, self._norm(norm, x)))
            else:
                x = self._norm(norm, x + self._keep(name, sublayer(name, x)))
        return x

    def _attention(self, name: str, x: Tensor) -> Tensor:
        """What attention adds to `x` `[batch, time, d_model]`: position t sees positions 0..t."""
        batch, time, _ = x.shape
        spec = self.spec

        def heads(part: str) -> Tensor:
            y = self._linear(f"{name}.{part}", x, bias=spec.qkv_bias)
            return y.view(batch, time, spec.heads, spec.head_dim).transpose(1, 2)

        scores = heads("q") @ heads("k").transpose(2, 3) * self.scale
        future = torch.ones(time, time, dtype=torch.bool).triu(1)
        seen = scores.masked_fill(future, -math.inf).softmax(-1)
        mixed = (seen @ heads("v")).transpose(1, 2).reshape(batch, time, spec.heads * spec.head_dim)
        return self._linear(f"{name}.out", mixed, bias=spec.out_bias)

    def _mlp(self, name: str, x: Tensor) -> Tensor:
        bias = self.spec.mlp_bias
        hidden = _ACTIVATIONS[self.spec.activation](self._linear(f"{name}.up", x, bias=bias))
        return self._linear(f"{name}.down", hidden, bias=bias)

    def _head(self, x: Tensor) -> Tensor:
        matrix = self.weights["embed.weight" if self.spec.tied else "head.weight"]
        bias = self._weight("head.bias") if self.spec.head_bias else None
        if matrix.dtype == self.dtype:
            return F.linear(x, matrix, bias)
        parts = [F.linear(x, rows.to(self.dtype)) for rows in torch.split(matrix, _HEAD_ROWS)]
        logits = torch.cat(parts, dim=-1)
        return logits if bias is None else logits + bias
