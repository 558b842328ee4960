"""Small models with the tensor names of well-known codebases, written apart from ckpt2hf, each with its own forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

VOCAB, TIME, WIDTH, LAYERS = 40, 16, 24, 2
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
    "relu": nn.ReLU,
}


def loud(model: nn.Module, seed: int = 3) -> nn.Module:
    """Weights large enough that any mistake shows."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=random)
        if parameter.ndim == 1:
            norm = name.endswith("weight")
            parameter.data = 1 + 0.2 * drawn if norm else 0.3 * drawn
        else:
            embedding = any(word in name for word in ("embedding", "wte", "wpe", "emb"))
            parameter.data = drawn * (0.15 if embedding else 1.5 * parameter.shape[-1] ** -0.5)
    return model.eval()


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float) -> torch.Tensor:
    """Causal attention of `[…, time, width]`."""
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)


class Head(nn.Module):
    def __init__(self, size: int, scale: float) -> None:
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(WIDTH, size, bias=False) for _ in "kqv")
        self.register_buffer("tril", torch.tril(torch.ones(TIME, TIME)))
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return attend(self.query(x), self.key(x), self.value(x), self.scale)


class Heads(nn.Module):
    def __init__(self, count: int, scale: float) -> None:
        super().__init__()
        self.heads = nn.ModuleList([Head(WIDTH // count, scale) for _ in range(count)])
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(torch.cat([head(x) for head in self.heads], dim=-1))


class FeedForward(nn.Module):
    def __init__(self, activation: str) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), ACTIVATIONS[activation](), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class Block(nn.Module):
    def __init__(self, heads: int, scale: float, activation: str, *, post: bool) -> None:
        super().__init__()
        self.sa, self.ffwd = Heads(heads, scale), FeedForward(activation)
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.post = post

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.post:
            x = self.ln1(x + self.sa(x))
            return self.ln2(x + self.ffwd(x))
        x = x + self.sa(self.ln1(x))
        return x + self.ffwd(self.ln2(x))


class Lecture(nn.Module):
    """One module per head, a head bias: five codebases save these names, for five functions."""

    def __init__(
        self, activation: str = "relu", scale: str = "head_dim", heads: int = 3, *, post: bool = False
    ) -> None:
        super().__init__()
        factor = (WIDTH if scale == "d_model" else WIDTH // heads) ** -0.5
        self.token_embedding_table, self.position_embedding_table = (
            nn.Embedding(VOCAB, WIDTH),
            nn.Embedding(TIME, WIDTH),
        )
        self.blocks = nn.Sequential(*[Block(heads, factor, activation, post=post) for _ in range(LAYERS)])
        self.ln_f, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCAB)

    def forward(self, idx: torch.Tensor, targets: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        assert targets is None or targets.shape == idx.shape
        x = self.token_embedding_table(idx) + self.position_embedding_table(torch.arange(idx.shape[1]))
        return self.lm_head(self.ln_f(self.blocks(x))), None


class FusedAttention(nn.Module):
    def __init__(self, heads: int, *, bias: bool, mask: bool) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH, bias=bias)
        self.n_head = heads
        if mask:
            self.register_buffer("bias", torch.tril(torch.ones(TIME, TIME)).view(1, 1, TIME, TIME))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.c_attn(x).split(WIDTH, dim=2)
        q, k, v = (part.unflatten(2, (self.n_head, -1)).transpose(1, 2) for part in parts)
        return self.c_proj(attend(q, k, v, q.shape[-1] ** -0.5).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, activation: str, *, bias: bool) -> None:
        super().__init__()
        self.c_fc, self.gelu = nn.Linear(WIDTH, 4 * WIDTH, bias=bias), ACTIVATIONS[activation]()
        self.c_proj = nn.Linear(4 * WIDTH, WIDTH, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class FusedBlock(nn.Module):
    def __init__(self, heads: int, activation: str, *, bias: bool, norm_bias: bool, mask: bool, twice: bool) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(WIDTH, bias=norm_bias), nn.LayerNorm(WIDTH, bias=norm_bias)
        self.attn = FusedAttention(heads, bias=bias, mask=mask)
        self.mlp = Mlp(activation, bias=bias)
        if twice:
            self.mlp_forward = nn.Sequential(self.mlp.c_fc, self.mlp.gelu, self.mlp.c_proj)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Fused(nn.Module):
    """One matrix for q, k and v: nanoGPT in all its eras, minGPT, build-nanogpt and the first az course."""

    def __init__(
        self,
        activation: str = "gelu",
        heads: int = 3,
        *,
        bias: bool = True,
        norm_bias: bool | None = None,
        tied: bool = True,
        mask: bool = False,
        twice: bool = False,
    ) -> None:
        super().__init__()
        norm_bias = bias if norm_bias is None else norm_bias
        blocks = [
            FusedBlock(heads, activation, bias=bias, norm_bias=norm_bias, mask=mask, twice=twice) for _ in range(LAYERS)
        ]
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(VOCAB, WIDTH),
                "wpe": nn.Embedding(TIME, WIDTH),
                "h": nn.ModuleList(blocks),
                "ln_f": nn.LayerNorm(WIDTH, bias=norm_bias),
            }
        )
        self.lm_head = nn.Linear(WIDTH, VOCAB, bias=False)
        if tied:
            self.transformer.wte.weight = self.lm_head.weight

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.transformer.wte(idx) + self.transformer.wpe(torch.arange(idx.shape[1]))
        for block in self.transformer.h:
            x = block(x)
        return self.lm_head(self.transformer.ln_f(x)), None


class ApartAttention(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.key, self.query, self.value, self.proj = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.register_buffer("mask", torch.tril(torch.ones(TIME, TIME)).view(1, 1, TIME, TIME))
        self.n_head = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (self.query(x), self.key(x), self.value(x))
        q, k, v = (part.unflatten(2, (self.n_head, -1)).transpose(1, 2) for part in parts)
        return self.proj(attend(q, k, v, q.shape[-1] ** -0.5).transpose(1, 2).flatten(2))


class ApartBlock(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.ln1, self.ln2, self.attn = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH), ApartAttention(heads)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln1(x))
        return x + self.mlp(self.ln2(x))


class Apart(nn.Module):
    """minGPT of 2020: q, k and v apart, positions a Parameter `[1, time, width]`."""

    def __init__(self, heads: int = 3) -> None:
        super().__init__()
        self.tok_emb, self.pos_emb = nn.Embedding(VOCAB, WIDTH), nn.Parameter(torch.zeros(1, TIME, WIDTH))
        self.blocks = nn.Sequential(*[ApartBlock(heads) for _ in range(LAYERS)])
        self.ln_f, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.tok_emb(idx) + self.pos_emb[:, : idx.shape[1]]
        return self.head(self.ln_f(self.blocks(x))), None
