"""The language model of the example, shaped like the one the Azerbaijani 50-day course builds.

The sizes are constants of the module, as they are in a course notebook: the checkpoint holds tensors and nothing
else, so whoever reads it back needs this file, or has to be told what it says.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (what everybody calls it)

VOCAB_SIZE = 768
N_EMBD = 96
N_HEAD = 3
N_LAYER = 4
BLOCK_SIZE = 64


class Head(nn.Module):
    """One causal attention head: [batch, time, N_EMBD] to [batch, time, head_size]."""

    tril: Tensor

    def __init__(self, head_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(N_EMBD, head_size, bias=False)
        self.query = nn.Linear(N_EMBD, head_size, bias=False)
        self.value = nn.Linear(N_EMBD, head_size, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(BLOCK_SIZE, BLOCK_SIZE)))
        self.scale = head_size**-0.5

    def forward(self, x: Tensor) -> Tensor:
        """What each position gathers from itself and from those before it."""
        time = x.shape[1]
        scores = self.query(x) @ self.key(x).transpose(-2, -1) * self.scale
        scores = scores.masked_fill(self.tril[:time, :time] == 0, float("-inf"))
        gathered: Tensor = scores.softmax(dim=-1) @ self.value(x)
        return gathered


class MultiHeadAttention(nn.Module):
    """The heads side by side, then one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = nn.ModuleList(Head(N_EMBD // N_HEAD) for _ in range(N_HEAD))
        self.proj = nn.Linear(N_EMBD, N_EMBD)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, N_EMBD] to the same."""
        mixed: Tensor = self.proj(torch.cat([head(x) for head in self.heads], dim=-1))
        return mixed


class FeedForward(nn.Module):
    """Four times as wide, exact GELU, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(N_EMBD, 4 * N_EMBD), nn.GELU(), nn.Linear(4 * N_EMBD, N_EMBD))

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, N_EMBD] to the same."""
        out: Tensor = self.net(x)
        return out


class Block(nn.Module):
    """Attention and feed-forward, each behind its LayerNorm and added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.sa = MultiHeadAttention()
        self.ffwd = FeedForward()
        self.ln1 = nn.LayerNorm(N_EMBD)
        self.ln2 = nn.LayerNorm(N_EMBD)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, N_EMBD] to the same."""
        x = x + self.sa(self.ln1(x))
        after: Tensor = x + self.ffwd(self.ln2(x))
        return after


class GPTModel(nn.Module):
    """Token ids in, the logits of each next token out."""

    def __init__(self) -> None:
        super().__init__()
        self.token_embedding_table = nn.Embedding(VOCAB_SIZE, N_EMBD)
        self.position_embedding_table = nn.Embedding(BLOCK_SIZE, N_EMBD)
        self.blocks = nn.Sequential(*(Block() for _ in range(N_LAYER)))
        self.ln_f = nn.LayerNorm(N_EMBD)
        self.lm_head = nn.Linear(N_EMBD, VOCAB_SIZE)

    def forward(self, idx: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Logits [batch, time, VOCAB_SIZE] and, where targets [batch, time] are given, the mean loss in nats."""
        positions = torch.arange(idx.shape[1], device=idx.device)
        x = self.token_embedding_table(idx) + self.position_embedding_table(positions)
        logits: Tensor = self.lm_head(self.ln_f(self.blocks(x)))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())
