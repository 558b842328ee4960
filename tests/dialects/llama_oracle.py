"""A decoder of Llama's kin with any names and any of the family's habits, written apart from ckpt2hf.

Turning is done with complex numbers, attention token by token of the mask: nothing is shared with the code under test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional

VOCAB, TIME = 40, 16


@dataclass(frozen=True)
class Habits:
    """What a codebase's forward pass does; the sizes are small and unequal."""

    width: int = 32
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 8
    hidden: int = 44
    layers: int = 2
    rows: int = VOCAB
    eps: float = 1e-5
    plus_one: bool = False
    mean: bool = False
    placement: str = "pre"
    act: str = "silu"
    pairs: bool = True
    minus: bool = False
    on_heads: bool = False
    theta: float = 1e4
    local_theta: float | None = None
    stretch: tuple[float, float, float, float] | None = None
    slides: str = "f"
    window: int = 0
    rope_full: bool = True
    scale: float | None = None
    qk: str = ""
    qk_after: bool = False
    times: float = 1.0
    embed_norm: bool = False
    cap: float = 0.0
    logit_times: float = 1.0
    experts: int = 0
    chosen: int = 0
    by_group: bool = False
    """Whether a fused matrix goes group by group."""
    tied: bool = False
    bias: tuple[str, ...] = field(default=())

    @property
    def inner(self) -> int:
        return self.heads * self.head_dim

    @property
    def kv_inner(self) -> int:
        return self.kv_heads * self.head_dim


class Oracle(nn.Module):
    """`names` say what the codebase calls each part: `q` as `layers.{i}.attention.wq.weight`."""

    def __init__(self, names: dict[str, str], habits: Habits, seed: int = 3) -> None:
        super().__init__()
        self.names, self.habits = names, habits
        random = torch.Generator().manual_seed(seed)
        for part, shape in self._shapes():
            if part.partition(" ")[0] not in names:
                continue
            value = torch.randn(shape, generator=random)
            if len(shape) == 1:
                bias = part.split()[0].endswith("_bias")
                value = 0.3 * value if bias else 0.2 * value + (0 if habits.plus_one else 1)
            else:
                value = value * (0.3 if part == "embed" else 1.5 * shape[-1] ** -0.5)
            self._plant(self._path(part), value)
        if habits.tied:
            place, _, last = names["head"].rpartition(".")
            other, _, its = names["embed"].rpartition(".")
            setattr(self.get_submodule(place), last, getattr(self.get_submodule(other), its))
        self.eval()

    def _shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        h = self.habits
        made: list[tuple[str, tuple[int, ...]]] = [("embed", (h.rows, h.width)), ("head", (h.rows, h.width))]
        made.append(("final", (h.width,)))
        for i in range(h.layers):
            made += [(f"{norm} {i}", (h.width,)) for norm in ("norm1", "norm2", "norm1_out", "norm2_out")]
            made += [
                (f"q {i}", (h.inner, h.width)),
                (f"k {i}", (h.kv_inner, h.width)),
                (f"v {i}", (h.kv_inner, h.width)),
            ]
            made += [(f"qkv {i}", (h.inner + 2 * h.kv_inner, h.width)), (f"o {i}", (h.width, h.inner))]
            made += [(f"{p}_bias {i}", (n,)) for p, n in (("q", h.inner), ("k", h.kv_inner), ("v", h.kv_inner))]
            per = h.qk != "width"
            made += [
                (f"q_norm {i}", (h.head_dim if per else h.inner,)),
                (f"k_norm {i}", (h.head_dim if per else h.kv_inner,)),
            ]
            made.append((f"router {i}", (h.experts, h.width)))
            for e in range(h.experts) if h.experts else [None]:
                at = f"{i}" if e is None else f"{i} {e}"
                made += [(f"{p} {at}", (h.hidden, h.width)) for p in ("gate", "up")] + [
                    (f"down {at}", (h.width, h.hidden))
                ]
        return made

    def _path(self, part: str) -> str:
        name, *numbers = part.split()
        text = self.names[name]
        for letter, number in zip("ie", numbers, strict=False):
            text = text.replace(f"{{{letter}}}", number)
        return text

    def _plant(self, path: str, value: torch.Tensor) -> None:
        *places, last = path.split(".")
        node: nn.Module = self
        for place in places:
            if not hasattr(node, place):
                node.add_module(place, nn.Module())
            node = getattr(node, place)
        node.register_parameter(last, nn.Parameter(value))

    def get(self, name: str, *numbers: int) -> torch.Tensor:
        """A parameter by what it is for."""
        return self.get_parameter(self._path(" ".join([name, *map(str, numbers)])))

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        h = self.habits
        x = functional.embedding(idx, self.get("embed")) * h.times
        if h.embed_norm:
            x = self._norm(x, None)
        for i in range(h.layers):
            x = self._layer(i, x)
        x = self._norm(x, self.get("final") if "final" in self.names else None)
        logits = x @ self.get("head").T[:, :VOCAB] * h.logit_times
        return (h.cap * torch.tanh(logits / h.cap) if h.cap else logits), None

    def _norm(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        if self.habits.mean:
            x = x - x.mean(-1, keepdim=True)
        x = x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.habits.eps)
        return x if weight is None else x * (weight + 1 if self.habits.plus_one else weight)

    def _named(self, name: str, i: int, x: torch.Tensor) -> torch.Tensor:
        return self._norm(x, self.get(name, i) if name in self.names else None)

    def _layer(self, i: int, x: torch.Tensor) -> torch.Tensor:
        how = self.habits.placement
        if how == "parallel":
            y = self._named("norm1", i, x)
            return x + self._attention(i, y) + self._mlp(i, y)
        if how == "output":
            x = x + self._named("norm1", i, self._attention(i, x))
            return x + self._named("norm2", i, self._mlp(i, x))
        y, z = self._attention(i, self._named("norm1", i, x)), None
        x = x + (self._named("norm1_out", i, y) if how == "sandwich" else y)
        z = self._mlp(i, self._named("norm2", i, x))
        return x + (self._named("norm2_out", i, z) if how == "sandwich" else z)

    def _matrices(self, i: int) -> list[torch.Tensor]:
        h = self.habits
        if "qkv" not in self.names:
            return [self.get(part, i) for part in "qkv"]
        fused = self.get("qkv", i)
        if not h.by_group:
            return list(fused.split([h.inner, h.kv_inner, h.kv_inner]))
        groups = fused.view(h.kv_heads, h.heads // h.kv_heads + 2, h.head_dim, h.width)
        return [
            groups[:, :-2].reshape(-1, h.width),
            groups[:, -2].reshape(-1, h.width),
            groups[:, -1].reshape(-1, h.width),
        ]

    def _attention(self, i: int, x: torch.Tensor) -> torch.Tensor:
        h, time = self.habits, x.shape[1]
        q, k, v = (x @ m.T for m in self._matrices(i))
        if h.bias:
            q, k, v = (y + self.get(f"{part}_bias", i) for part, y in zip("qkv", (q, k, v), strict=True))
        if h.qk == "width":
            q, k = self._named("q_norm", i, q), self._named("k_norm", i, k)
        q, k, v = (y.unflatten(-1, (-1, h.head_dim)) for y in (q, k, v))
        slides = h.slides[i % len(h.slides)] == "s"
        if h.qk == "head" and not h.qk_after:
            q, k = self._named("q_norm", i, q), self._named("k_norm", i, k)
        if slides or h.rope_full:
            q, k = self._turn(q, local=slides), self._turn(k, local=slides)
        if h.qk == "head" and h.qk_after:
            q, k = self._named("q_norm", i, q), self._named("k_norm", i, k)
        k, v = (y.repeat_interleave(h.heads // h.kv_heads, dim=2) for y in (k, v))
        at = torch.arange(time)
        ago = at[:, None] - at[None, :]
        hidden = (ago < 0) | (ago >= h.window if slides else ago < 0)
        scores = torch.einsum("bthd,bshd->bhts", q, k) * (h.head_dim**-0.5 if h.scale is None else h.scale)
        shares = scores.masked_fill(hidden, -math.inf).softmax(-1)
        return torch.einsum("bhts,bshd->bthd", shares, v).flatten(2) @ self.get("o", i).T

    def _turn(self, x: torch.Tensor, *, local: bool) -> torch.Tensor:
        """`[batch, time, heads, head_dim]`, turned as complex numbers."""
        h = self.habits
        theta = h.local_theta if local and h.local_theta is not None else h.theta
        speeds = torch.tensor(
            [self._speed(theta ** (-2 * j / h.head_dim)) for j in range(h.head_dim // 2)], dtype=x.dtype
        )
        at = torch.arange(x.shape[2 if h.on_heads else 1], dtype=x.dtype)
        angles = torch.outer(at, speeds) * (-1 if h.minus else 1)
        angles = angles[None, None] if h.on_heads else angles[None, :, None]
        turn = torch.polar(torch.ones_like(angles), angles)
        if h.pairs:
            return torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous()) * turn).flatten(-2)
        first, second = x.chunk(2, -1)
        turned = torch.complex(first, second) * turn
        return torch.cat([turned.real, turned.imag], -1)

    def _speed(self, speed: float) -> float:
        if self.habits.stretch is None:
            return speed
        factor, low, high, original = self.habits.stretch
        turns = original * speed / (2 * math.pi)
        if turns >= high:
            return speed
        if turns <= low:
            return speed / factor
        share = (turns - low) / (high - low)
        return speed * ((1 - share) / factor + share)

    def _mlp(self, i: int, x: torch.Tensor) -> torch.Tensor:
        if not self.habits.experts:
            return self._expert(x, i)
        odds = (x @ self.get("router", i).T).softmax(-1)
        best, which = odds.topk(self.habits.chosen, dim=-1)
        shares = torch.zeros_like(odds).scatter(-1, which, best / best.sum(-1, keepdim=True))
        return sum(shares[..., e, None] * self._expert(x, i, e) for e in range(self.habits.experts))  # type: ignore[return-value]

    def _expert(self, x: torch.Tensor, *at: int) -> torch.Tensor:
        acts: dict[str, Any] = {
            "silu": functional.silu,
            "gelu_tanh": lambda y: functional.gelu(y, approximate="tanh"),
            "relu2": lambda y: functional.relu(y) ** 2,
        }
        act, up = acts[self.habits.act], x @ self.get("up", *at).T
        inside = act(x @ self.get("gate", *at).T) * up if "gate" in self.names else act(up)
        return inside @ self.get("down", *at).T
