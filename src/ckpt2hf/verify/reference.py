"""The forward pass of a `ModelSpec`, written from the spec alone: what every converted model is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812 - the name the whole PyTorch world uses
from torch import Tensor

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.ir import NormPlacement, Position
from ckpt2hf.ir.tables import sinusoids
from ckpt2hf.verify.sublayers import Sublayers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.ir import ModelSpec

Trace: TypeAlias = dict[str, Tensor]
"""Activations `[batch, time, …]` by name, in order of execution.

`embed`, then for every layer `layers.{i}.attn` and `layers.{i}.mlp` (what each sublayer gives, before any norm of it)
and `layers.{i}` (what the block hands on), then `final_norm` where there is one, and `logits`.
"""

_HEAD_ROWS = 4096
"""Rows of the output matrix widened at a time: a float64 copy of a large vocabulary would be the peak of memory."""


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
        self.sublayers = Sublayers(spec, weights, dtype)

    def __call__(self, tokens: Tensor, start: int) -> Tensor:
        spec = self.spec
        stop = start + tokens.shape[1]
        if stop > spec.context:
            raise BrokenPromiseError(f"a probe reaches position {stop - 1} of a context of {spec.context}")
        x = self._keep("embed", self._embed(tokens, start, stop))
        if spec.embed_norm:
            x = self.sublayers.normalised(x)
        for i in range(spec.layers):
            x = self._keep(f"layers.{i}", self._block(i, x, start))
        if spec.final_norm:
            x = self._keep("final_norm", self.sublayers.norm("final_norm", x))
        return self._keep("logits", self._head(x))

    def _keep(self, name: str, value: Tensor) -> Tensor:
        if self.trace is not None:
            self.trace[name] = value
        return value

    def _factor(self, name: str) -> float:
        value: float = getattr(self.spec, name).value(head_dim=self.spec.head_dim, d_model=self.spec.d_model)
        return value

    def _embed(self, tokens: Tensor, start: int, stop: int) -> Tensor:
        spec = self.spec
        # torch rounds a Python number to float32 when it meets a float32 tensor, and codebases that scale do so there.
        rows = F.embedding(tokens, self.weights["embed.weight"]).to(self.dtype) * _float32(self._factor("embed_scale"))
        if spec.position is Position.LEARNED:
            table = self.weights["positions.weight"][start:stop]
        elif spec.position is Position.SINUSOIDAL:
            table = torch.from_numpy(sinusoids(stop, spec.d_model)[start:])
        else:
            return rows
        return rows + table.to(self.dtype) * _float32(self._factor("position_scale"))

    def _block(self, i: int, x: Tensor, start: int) -> Tensor:
        at, sub, how = f"layers.{i}", self.sublayers, self.spec.norm_placement
        if how is NormPlacement.PARALLEL:
            y = sub.norm(f"{at}.attn_norm", x)
            return x + self._keep(f"{at}.attn", sub.attention(i, y, start)) + self._keep(f"{at}.mlp", sub.mlp(i, y))
        for part in ("attn", "mlp"):
            name, norm = f"{at}.{part}", f"{at}.{part}_norm"
            y = sub.norm(norm, x) if how in (NormPlacement.PRE, NormPlacement.SANDWICH) else x
            y = self._keep(name, sub.attention(i, y, start) if part == "attn" else sub.mlp(i, y))
            if how is NormPlacement.OUTPUT:
                y = sub.norm(norm, y)
            elif how is NormPlacement.SANDWICH:
                y = sub.norm(f"{at}.{part}_out_norm", y)
            x = sub.norm(norm, x + y) if how is NormPlacement.POST else x + y
        return x

    def _head(self, x: Tensor) -> Tensor:
        spec = self.spec
        matrix = self.weights["embed.weight" if spec.tied else "head.weight"][: spec.vocab]
        if matrix.dtype == self.dtype:
            logits = F.linear(x, matrix)
        else:
            logits = torch.cat([F.linear(x, rows.to(self.dtype)) for rows in torch.split(matrix, _HEAD_ROWS)], dim=-1)
        if spec.head_bias:
            logits = logits + self.sublayers.weight("head.bias")[: spec.vocab]
        if not spec.logit_scale.is_one:
            logits = logits * self._factor("logit_scale")
        cap = spec.logit_softcap
        return cap * torch.tanh(logits / cap) if cap else logits


def _float32(number: float) -> float:
    return float(torch.tensor(number, dtype=torch.float32))
