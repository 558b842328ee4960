"""Four models whose names no built-in dialect knows, written apart from ckpt2hf, each with its own forward."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

VOCAB, TIME, WIDTH, LAYERS, HEADS = 41, 16, 24, 2, 3


def loud(model: nn.Module, seed: int = 5) -> nn.Module:
    """Weights large enough that any mistake shows."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=random)
        if parameter.ndim == 1:
            bias = "bias" in name or name.rpartition(".")[2].startswith("b")
            parameter.data = 0.3 * drawn if bias else 1 + 0.2 * drawn
        else:
            parameter.data = drawn * 1.2 * WIDTH**-0.5
    return model.eval()


class TorchBlock(nn.Module):
    """Attention of torch itself: `in_proj_weight` holds q, k and v."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_a, self.norm_b = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.mha = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 3 * WIDTH), nn.GELU(), nn.Linear(3 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm_a(x)
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        x = x + self.mha(y, y, y, attn_mask=hidden, need_weights=False)[0]
        return x + self.mlp(self.norm_b(x))


class TorchGPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token_table, self.position_table = nn.Embedding(VOCAB, WIDTH), nn.Embedding(TIME, WIDTH)
        self.stack = nn.ModuleList([TorchBlock() for _ in range(LAYERS)])
        self.norm_out = nn.LayerNorm(WIDTH)
        self.logits = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.token_table(idx) + self.position_table(torch.arange(idx.shape[1]))
        for block in self.stack:
            x = block(x)
        return self.logits(self.norm_out(x))


class EinsumBlock(nn.Module):
    """Every matrix is a parameter of its own, stored [in, out]; attention has an axis for the heads."""

    def __init__(self) -> None:
        super().__init__()
        size = WIDTH // HEADS
        for name in ("wq", "wk", "wv"):
            setattr(self, name, nn.Parameter(torch.empty(WIDTH, HEADS, size)))
        for name in ("bq", "bk", "bv"):
            setattr(self, name, nn.Parameter(torch.empty(HEADS, size)))
        self.wo, self.bo = nn.Parameter(torch.empty(WIDTH, WIDTH)), nn.Parameter(torch.empty(WIDTH))
        self.w_in, self.b_in = nn.Parameter(torch.empty(WIDTH, 64)), nn.Parameter(torch.empty(64))
        self.w_out, self.b_out = nn.Parameter(torch.empty(64, WIDTH)), nn.Parameter(torch.empty(WIDTH))
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.ln1(x)
        q, k, v = (
            torch.einsum("btd,dhe->bhte", y, w) + b[:, None]
            for w, b in ((self.wq, self.bq), (self.wk, self.bk), (self.wv, self.bv))
        )
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + torch.einsum("bti,io->bto", z.transpose(1, 2).flatten(2), self.wo) + self.bo
        return x + functional.relu(self.ln2(x) @ self.w_in + self.b_in) @ self.w_out + self.b_out


class EinsumGPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.emb, self.pos = nn.Parameter(torch.empty(VOCAB, WIDTH)), nn.Parameter(torch.empty(TIME, WIDTH))
        self.layers = nn.ModuleList([EinsumBlock() for _ in range(LAYERS)])
        self.ln_final = nn.LayerNorm(WIDTH)
        self.unembed = nn.Parameter(torch.empty(WIDTH, VOCAB))

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.emb[idx] + self.pos[: idx.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.ln_final(x) @ self.unembed


class Qat(nn.Module):
    """A block with Azerbaijani names: diqqət is attention, sual a question, açar a key, dəyər a value."""

    def __init__(self) -> None:
        super().__init__()
        self.sual, self.acar, self.deyer, self.cem = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.genis, self.dar = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.birinci, self.ikinci = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.birinci(x)
        q, k, v = (f(y).unflatten(2, (HEADS, -1)).transpose(1, 2) for f in (self.sual, self.acar, self.deyer))
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + self.cem(z)
        return x + self.dar(functional.gelu(self.genis(self.ikinci(x)), approximate="tanh"))


class Dil(nn.Module):
    """A language model, `dil`, of layers, `qatlar`."""

    def __init__(self) -> None:
        super().__init__()
        self.sozler, self.yerler = nn.Embedding(VOCAB, WIDTH), nn.Embedding(TIME, WIDTH)
        self.qatlar = nn.ModuleList([Qat() for _ in range(LAYERS)])
        self.son = nn.LayerNorm(WIDTH)
        self.bas = nn.Linear(WIDTH, VOCAB, bias=False)
        self.bas.weight = self.sozler.weight

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.sozler(idx) + self.yerler(torch.arange(idx.shape[1]))
        for qat in self.qatlar:
            x = qat(x)
        return self.bas(self.son(x))


class Rms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.g = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.g


class Turning(nn.Module):
    """A Llama-like block of single letters: `c` is the gate and `a` what it gates."""

    def __init__(self) -> None:
        super().__init__()
        heads = HEADS + 1
        self.q, self.o = nn.Linear(WIDTH, heads * 6, bias=False), nn.Linear(heads * 6, WIDTH, bias=False)
        self.k, self.v = (nn.Linear(WIDTH, 12, bias=False) for _ in "kv")
        self.a, self.c = (nn.Linear(WIDTH, 40, bias=False) for _ in "ac")
        self.z = nn.Linear(40, WIDTH, bias=False)
        self.n, self.m = Rms(), Rms()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.n(x)
        q, k, v = (f(y).unflatten(2, (-1, 6)).transpose(1, 2) for f in (self.q, self.k, self.v))
        q, k = turned(q), turned(k)
        k, v = (part.repeat_interleave(2, 1) for part in (k, v))
        z = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(z.transpose(1, 2).flatten(2))
        y = self.m(x)
        return x + self.z(functional.silu(self.c(y)) * self.a(y))


def turned(x: torch.Tensor, theta: float = 10000.0) -> torch.Tensor:
    """RoPE on neighbours: 0 with 1, 2 with 3."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * torch.exp(-math.log(theta) * torch.arange(half) / half)
    a, b = x[..., 0::2], x[..., 1::2]
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


class Letters(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(VOCAB, WIDTH)
        self.b = nn.ModuleList([Turning() for _ in range(LAYERS)])
        self.f = Rms()
        self.h = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, idx: torch.Tensor) -> torch.Tensor:
        x = self.e(idx)
        for block in self.b:
            x = block(x)
        return self.h(self.f(x))
