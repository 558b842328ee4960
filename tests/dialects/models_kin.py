"""More small models: parameters without modules around them, and libraries with their own way to number things."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

VOCAB, TIME, WIDTH, LAYERS, HEADS = 40, 16, 24, 2, 3
SHRUNK = float(torch.tensor(WIDTH**-0.5))
"""In float32, as torch rounds a number that a float32 tensor is multiplied with: also where logits are float64."""
GAINS = ("weight", "gamma", "w", "scale")
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
    "relu2": lambda x: functional.relu(x).square(),
}


def loud(model: nn.Module, seed: int = 3) -> nn.Module:
    """Weights large enough that any mistake shows."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=random)
        if parameter.ndim == 1 or name.rpartition(".")[2].startswith("b_"):
            parameter.data = 1 + 0.2 * drawn if name.rpartition(".")[2] in GAINS else 0.3 * drawn
        else:
            parameter.data = drawn * (0.3 if "emb" in name and "unembed" not in name else 1.5 * WIDTH**-0.5)
    return model.eval()


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int = HEADS) -> torch.Tensor:
    """Causal attention of `[batch, time, heads x width]`, heads taken apart and put together again."""
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def drawn(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


class ScaleShift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = drawn(WIDTH), drawn(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
        return self.scale * (x - mean) / torch.sqrt(variance + 1e-5) + self.shift


class FusedAttention(nn.Module):
    """Of ch05/10."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(attend(*self.qkv(x).chunk(3, dim=-1)))


class EinsumAttention(nn.Module):
    """Of ch03/02: parameters `[in, out]`."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.W_query, self.W_key, self.W_value = (drawn(WIDTH, WIDTH) for _ in "qkv")
        self.bias_q, self.bias_k, self.bias_v = (drawn(WIDTH) if bias else None for _ in "qkv")
        self.out_proj = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.triu(torch.ones(TIME, TIME), diagonal=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = ((self.W_query, self.bias_q), (self.W_key, self.bias_k), (self.W_value, self.bias_v))
        parts = [x @ w if b is None else x @ w + b for w, b in pairs]
        return self.out_proj(attend(*parts))


class RasbtFeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        up, down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.layers = nn.Sequential(up, nn.GELU(approximate="tanh"), down)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class RasbtBlock(nn.Module):
    def __init__(self, *, fused: bool, bias: bool) -> None:
        super().__init__()
        self.att = FusedAttention(bias=bias) if fused else EinsumAttention(bias=bias)
        self.ff = RasbtFeedForward()
        self.norm1, self.norm2 = (nn.LayerNorm(WIDTH) if fused else ScaleShift() for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.att(self.norm1(x)) + x
        return self.ff(self.norm2(x)) + x


class Rasbt(nn.Module):
    def __init__(self, *, fused: bool, bias: bool = True) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(VOCAB, WIDTH), nn.Embedding(TIME, WIDTH)
        self.trf_blocks = nn.Sequential(*[RasbtBlock(fused=fused, bias=bias) for _ in range(LAYERS)])
        self.final_norm = nn.LayerNorm(WIDTH) if fused else ScaleShift()
        self.out_head = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.tok_emb(idx) + self.pos_emb(torch.arange(idx.shape[1]))
        return self.out_head(self.final_norm(self.trf_blocks(x))), None


class Gamma(nn.Module):
    """A norm without a bias; `plus` is 1 where gamma counts from one."""

    def __init__(self, plus: int) -> None:
        super().__init__()
        self.gamma, self.plus = drawn(WIDTH), plus

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (WIDTH,)) * (self.gamma + self.plus)


class XAttention(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        self.to_q, self.to_k, self.to_v = (nn.Linear(WIDTH, HEADS * size, bias=False) for _ in "qkv")
        self.to_out = nn.Linear(HEADS * size, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.to_out(attend(self.to_q(x), self.to_k(x), self.to_v(x)))


class Act(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ACTIVATIONS[self.name](x)


class XFeedForward(nn.Module):
    def __init__(self, activation: str, *, old: bool = False) -> None:
        super().__init__()
        inside = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), Act(activation))
        between = [nn.Identity()] if old else []
        self.ff = nn.Sequential(inside, *between, nn.Dropout(0.1), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.ff(x)


class Emb(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(rows, WIDTH)


class XLayers(nn.Module):
    def __init__(self, plus: int, size: int, activation: str) -> None:
        super().__init__()
        parts = (part for _ in range(LAYERS) for part in (XAttention(size), XFeedForward(activation)))
        self.layers = nn.ModuleList([nn.ModuleList([nn.ModuleList([Gamma(plus)]), part]) for part in parts])
        self.final_norm = Gamma(plus)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norms, part in self.layers:
            x = x + part(norms[0](x))
        return self.final_norm(x)


class XTransformer(nn.Module):
    def __init__(self, plus: int = 1, size: int = 5, activation: str = "gelu") -> None:
        super().__init__()
        self.token_emb, self.pos_emb = Emb(VOCAB), Emb(TIME)
        self.attn_layers = XLayers(plus, size, activation)
        self.to_logits = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        where = self.pos_emb.emb(torch.arange(idx.shape[1])) * SHRUNK
        return self.to_logits(self.attn_layers(self.token_emb.emb(idx) + where)), None


class OldXLayers(nn.Module):
    def __init__(self, size: int) -> None:
        super().__init__()
        parts = (part for _ in range(LAYERS) for part in (XAttention(size), XFeedForward("gelu", old=True)))
        self.layers = nn.ModuleList(
            [nn.ModuleList([nn.ModuleList([nn.LayerNorm(WIDTH)]), part, nn.Module()]) for part in parts]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for norms, part, _ in self.layers:
            x = x + part(norms[0](x))
        return x


class OldXTransformer(nn.Module):
    """Before the library had a LayerNorm of its own; the last norm is the wrapper's, and the head has a bias."""

    def __init__(self, size: int = 5, *, tied: bool = False) -> None:
        super().__init__()
        self.token_emb, self.pos_emb = Emb(VOCAB), Emb(TIME)
        self.attn_layers, self.norm = OldXLayers(size), nn.LayerNorm(WIDTH)
        self.to_logits = None if tied else nn.Linear(WIDTH, VOCAB)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        where = self.pos_emb.emb(torch.arange(idx.shape[1])) * SHRUNK
        x = self.norm(self.attn_layers(self.token_emb.emb(idx) + where))
        return (x @ self.token_emb.emb.weight.T if self.to_logits is None else self.to_logits(x)), None


class LensNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = drawn(WIDTH), drawn(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x - x.mean(-1, keepdim=True)
        return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * self.w + self.b


class LensAttention(nn.Module):
    def __init__(self, size: int, *, library: bool) -> None:
        super().__init__()
        self.W_Q, self.W_K, self.W_V = (drawn(HEADS, WIDTH, size) for _ in "QKV")
        self.b_Q, self.b_K, self.b_V = (drawn(HEADS, size) for _ in "QKV")
        self.W_O, self.b_O = drawn(HEADS, size, WIDTH), drawn(WIDTH)
        self.register_buffer("IGNORE", torch.tensor(-math.inf if library else -1e5))
        if library:
            self.register_buffer("mask", torch.tril(torch.ones(TIME, TIME)).bool())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pairs = ((self.W_Q, self.b_Q), (self.W_K, self.b_K), (self.W_V, self.b_V))
        q, k, v = (torch.einsum("btd,hds->bths", x, w) + b for w, b in pairs)
        scores = torch.einsum("bqhs,bkhs->bhqk", q, k) / math.sqrt(q.shape[-1])
        later = torch.triu(torch.ones_like(scores), diagonal=1).bool()
        mixed = torch.einsum("bhqk,bkhs->bqhs", scores.masked_fill(later, -1e5).softmax(-1), v)
        return torch.einsum("bqhs,hsd->bqd", mixed, self.W_O) + self.b_O


class LensMlp(nn.Module):
    def __init__(self, activation: str) -> None:
        super().__init__()
        self.W_in, self.b_in, self.W_out, self.b_out = drawn(WIDTH, 70), drawn(70), drawn(70, WIDTH), drawn(WIDTH)
        self.act = ACTIVATIONS[activation]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x @ self.W_in + self.b_in) @ self.W_out + self.b_out


class LensBlock(nn.Module):
    def __init__(self, size: int, activation: str, *, library: bool) -> None:
        super().__init__()
        self.ln1, self.ln2 = LensNorm(), LensNorm()
        self.attn, self.mlp = LensAttention(size, library=library), LensMlp(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class Lens(nn.Module):
    """ARENA's clean transformer, or TransformerLens' own with its buffers."""

    def __init__(self, size: int = 8, activation: str = "gelu_tanh", *, library: bool = False) -> None:
        super().__init__()
        self.embed, self.pos_embed, self.unembed = nn.Module(), nn.Module(), nn.Module()
        self.embed.W_E, self.pos_embed.W_pos = drawn(VOCAB, WIDTH), drawn(TIME, WIDTH)
        self.unembed.W_U, self.unembed.b_U = drawn(WIDTH, VOCAB), drawn(VOCAB)
        self.blocks = nn.ModuleList([LensBlock(size, activation, library=library) for _ in range(LAYERS)])
        self.ln_final = LensNorm()

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.embed.W_E[idx] + self.pos_embed.W_pos[: idx.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.ln_final(x) @ self.unembed.W_U + self.unembed.b_U, None
