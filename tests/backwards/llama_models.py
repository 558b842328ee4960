"""Small models with the names and the arithmetic of llama2.c, written apart from ckpt2hf.

Source: karpathy/llama2.c@350e04f model.py: names of modules, neighbours turned together, RMSNorm in float32, tied head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

EPS, THETA = 1e-5, 10000.0


class Norm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * self.weight


def turned(x: torch.Tensor) -> torch.Tensor:
    """`[batch, time, heads, head_dim]` with neighbours as complex numbers."""
    half = x.shape[-1] // 2
    angles = torch.outer(torch.arange(x.shape[1]).float(), THETA ** -(torch.arange(half).float() / half))
    pairs = torch.view_as_complex(x.float().unflatten(-1, (half, 2)).contiguous())
    return torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)[None, :, None]).flatten(-2)


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        size = width // heads
        self.heads, self.kv_heads, self.size = heads, kv_heads, size
        self.wq, self.wo = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.wk, self.wv = (nn.Linear(width, kv_heads * size, bias=False) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = turned(self.wq(x).unflatten(-1, (self.heads, self.size)))
        k = turned(self.wk(x).unflatten(-1, (self.kv_heads, self.size)))
        v = self.wv(x).unflatten(-1, (self.kv_heads, self.size))
        k, v = (part.repeat_interleave(self.heads // self.kv_heads, dim=2) for part in (k, v))
        parts = (part.transpose(1, 2) for part in (q, k, v))
        return self.wo(functional.scaled_dot_product_attention(*parts, is_causal=True).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1, self.w3 = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.w2 = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    def __init__(self, width: int, heads: int, kv_heads: int, inner: int) -> None:
        super().__init__()
        self.attention, self.feed_forward = Attention(width, heads, kv_heads), FeedForward(width, inner)
        self.attention_norm, self.ffn_norm = Norm(width), Norm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.feed_forward(self.ffn_norm(x))


class Transformer(nn.Module):
    """Made from the `model_args` of a checkpoint, as sample.py and export.py make it."""

    def __init__(self, args: dict[str, int]) -> None:
        super().__init__()
        width, inner = args["dim"], args["hidden_dim"]
        # What train.py makes of the same arguments when it resumes: it knows no hidden_dim.
        rounded = args["multiple_of"] * -(-int(2 * 4 * width / 3) // args["multiple_of"])
        assert rounded == inner
        self.tok_embeddings = nn.Embedding(args["vocab_size"], width)
        blocks = [Block(width, args["n_heads"], args["n_kv_heads"], inner) for _ in range(args["n_layers"])]
        self.layers, self.norm = nn.ModuleList(blocks), Norm(width)
        self.output = nn.Linear(width, args["vocab_size"], bias=False)
        self.tok_embeddings.weight = self.output.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.tok_embeddings(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.output(self.norm(x))
