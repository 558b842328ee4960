"""Small models with the tensor names of further GPT-2-like codebases, written apart from ckpt2hf, each with its own
forward."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

VOCAB, TIME, WIDTH, LAYERS, HEADS = 40, 16, 24, 2, 3
GAINS = ("weight", "gamma", "w", "scale")
ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


def loud(model: nn.Module, seed: int = 3) -> nn.Module:
    """Weights large enough that any mistake shows."""
    random = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=random)
        if parameter.ndim == 1:
            parameter.data = 1 + 0.2 * drawn if name.rpartition(".")[2] in GAINS else 0.3 * drawn
        else:
            parameter.data = drawn * (0.3 if "emb" in name or "wte" in name or "wpe" in name else 1.5 * WIDTH**-0.5)
    return model.eval()


def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int = HEADS) -> torch.Tensor:
    """Causal attention of `[batch, time, heads x width]`, heads taken apart and put together again."""
    q, k, v = (part.unflatten(2, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


def future(size: int) -> torch.Tensor:
    return torch.triu(torch.ones(size, size), diagonal=1)


class HeroHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.key, self.value, self.query = (nn.Linear(WIDTH, WIDTH // HEADS) for _ in "kvq")
        self.register_buffer("attention_mask", torch.tril(torch.ones(TIME, TIME)))


class HeroAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList([HeroHead() for _ in range(HEADS)])
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(torch.cat([attend(h.query(x), h.key(x), h.value(x), 1) for h in self.heads], dim=-1))


class HeroFeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH), nn.Dropout(0.1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


class HeroBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.att, self.ffn = HeroAttention(), HeroFeedForward()
        self.ln1, self.ln2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.att(self.ln1(x))
        return x + self.ffn(self.ln2(x))


class ZeroToHero(nn.Module):
    def __init__(self, *, tied: bool = False) -> None:
        super().__init__()
        self.token_embedding_table = nn.Embedding(VOCAB, WIDTH)
        self.position_embedding_table = nn.Embedding(TIME, WIDTH)
        self.blocks = nn.Sequential(*[HeroBlock() for _ in range(LAYERS)])
        self.ln_final, self.lm_head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCAB, bias=False)
        if tied:
            self.token_embedding_table.weight = self.lm_head.weight

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.token_embedding_table(idx) + self.position_embedding_table(torch.arange(idx.shape[1]))
        return self.lm_head(self.ln_final(self.blocks(x))), None


class CommentedAttention(nn.Module):
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.Wqkv, self.Wo = nn.Linear(WIDTH, 3 * WIDTH, bias=bias), nn.Linear(WIDTH, WIDTH, bias=bias)
        self.register_buffer("causal_mask", future(TIME).bool(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.Wo(attend(*self.Wqkv(x).chunk(3, dim=-1)))


class CommentedFeedForward(nn.Module):
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.fc1, self.act = nn.Linear(WIDTH, 70, bias=bias), nn.GELU()
        self.fc2 = nn.Linear(70, WIDTH, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.act(self.fc1(x)))


class CommentedBlock(nn.Module):
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(WIDTH), CommentedAttention(bias=bias)
        self.norm2, self.ffn = nn.LayerNorm(WIDTH), CommentedFeedForward(bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))


class Commented(nn.Module):
    """Tied, and with a head bias."""

    def __init__(self, *, tied: bool = True, head_bias: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.vocab_embed, self.pos_embed = nn.Embedding(VOCAB, WIDTH), nn.Embedding(TIME, WIDTH)
        self.tfm_blocks = nn.ModuleList([CommentedBlock(bias=bias) for _ in range(LAYERS)])
        self.head_norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCAB, bias=head_bias)
        if tied:
            self.head.weight = self.vocab_embed.weight

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.vocab_embed(idx) + self.pos_embed(torch.arange(idx.shape[1]))
        for block in self.tfm_blocks:
            x = block(x)
        return self.head(self.head_norm(x)), None


class PlusAttention(nn.Module):
    def __init__(self, size: int, *, bias: bool) -> None:
        super().__init__()
        self.causal_self_attention = nn.Linear(WIDTH, 3 * HEADS * size, bias=bias)
        self.projection = nn.Linear(HEADS * size, WIDTH, bias=bias)
        self.register_buffer("tril", torch.tril(torch.ones(TIME, TIME)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.projection(attend(*self.causal_self_attention(x).chunk(3, dim=-1)))


class PlusFeedForward(nn.Module):
    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.c_fc, self.projection = nn.Linear(WIDTH, 4 * WIDTH, bias=bias), nn.Linear(4 * WIDTH, WIDTH, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.projection(functional.gelu(self.c_fc(x), approximate="tanh"))


class PlusBlock(nn.Module):
    def __init__(self, size: int, *, bias: bool) -> None:
        super().__init__()
        self.self_attention, self.feed_forward = PlusAttention(size, bias=bias), PlusFeedForward(bias=bias)
        self.layer_norm_1, self.layer_norm_2 = nn.LayerNorm(WIDTH, bias=bias), nn.LayerNorm(WIDTH, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.self_attention(self.layer_norm_1(x))
        return x + self.feed_forward(self.layer_norm_2(x))


class NanoGptPlus(nn.Module):
    """Heads whose widths together are not that of the model."""

    def __init__(self, size: int = 5, *, bias: bool = True) -> None:
        super().__init__()
        self.token_embedding_table = nn.Embedding(VOCAB, WIDTH)
        self.positional_embedding_table = nn.Embedding(TIME, WIDTH)
        self.transformer_blocks = nn.ModuleList([PlusBlock(size, bias=bias) for _ in range(LAYERS)])
        self.layer_norm_final = nn.LayerNorm(WIDTH, bias=bias)
        self.language_model_head = nn.Linear(WIDTH, VOCAB, bias=False)
        self.token_embedding_table.weight = self.language_model_head.weight

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.token_embedding_table(idx) + self.positional_embedding_table.weight[: idx.shape[1]]
        for block in self.transformer_blocks:
            x = block(x)
        return self.language_model_head(self.layer_norm_final(x)), None


class SwishAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.proj_q, self.proj_k, self.proj_v, self.linear = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(attend(self.proj_q(x), self.proj_k(x), self.proj_v(x)))


class SwishLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn, self.ln_attn, self.ln_ff = SwishAttention(), nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.ff = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.SiLU(), nn.Dropout(0.1), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_attn(x))
        return x + self.ff(self.ln_ff(x))


class Swish(nn.Module):
    """affjljoo's: no head of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.positional_embedding, self.token_embedding = nn.Embedding(TIME, WIDTH), nn.Embedding(VOCAB, WIDTH)
        self.transformers = nn.ModuleList([SwishLayer() for _ in range(LAYERS)])
        self.ln_head = nn.LayerNorm(WIDTH)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.token_embedding(idx) + self.positional_embedding(torch.arange(idx.shape[1]))
        for block in self.transformers:
            x = block(x)
        return self.ln_head(x) @ self.token_embedding.weight.T, None


class PositionalEncoding(nn.Module):
    def __init__(self, rows: int) -> None:
        super().__init__()
        steps = torch.exp(torch.arange(0, WIDTH, 2).float() * (-math.log(10000.0) / WIDTH))
        angles = torch.arange(rows).float()[:, None] * steps
        self.register_buffer("pe", torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, None])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.pe[: len(x)]


class WordLm(nn.Module):
    """PyTorch's own encoder layers, `[time, batch]` inside; post-norm, ReLU, or what the arguments say."""

    def __init__(
        self,
        activation: str = "relu",
        inner: int = 50,
        rows: int = 5000,
        *,
        norm_first: bool = False,
        final: bool = True,
    ) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, inner, activation=activation, norm_first=norm_first)
        self.pos_encoder, self.input_emb = PositionalEncoding(rows), nn.Embedding(VOCAB, WIDTH)
        norm = nn.LayerNorm(WIDTH) if final else None
        self.encoder = nn.TransformerEncoder(layer, LAYERS, norm, enable_nested_tensor=False)
        self.decoder = nn.Linear(WIDTH, VOCAB)

    def forward(self, idx: torch.Tensor) -> tuple[torch.Tensor, None]:
        x = self.pos_encoder(self.input_emb(idx.T) * math.sqrt(WIDTH))
        mask = nn.Transformer.generate_square_subsequent_mask(len(x))
        return self.decoder(self.encoder(x, mask=mask)).transpose(0, 1), None
