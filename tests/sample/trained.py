"""A small model with fused qkv, trained on the spot, with nanoGPT's names: nothing in its file shows its heads."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from module_file import load_module

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "az-mini"
VOCAB, CONTEXT, WIDTH, LAYERS = 768, 48, 48, 2
BATCH, RATE = 16, 4e-3


class Attention(nn.Module):
    def __init__(self, heads: int) -> None:
        super().__init__()
        self.c_attn, self.c_proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.n_head = heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (part.unflatten(2, (self.n_head, -1)).transpose(1, 2) for part in self.c_attn(x).split(WIDTH, dim=2))
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        return self.c_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, activation: str) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)
        self.approximate = "tanh" if activation == "gelu_tanh" else "none"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.c_proj(functional.gelu(self.c_fc(x), approximate=self.approximate))


class Block(nn.Module):
    def __init__(self, heads: int, activation: str) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(WIDTH), Attention(heads)
        self.ln_2, self.mlp = nn.LayerNorm(WIDTH), Mlp(activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Fused(nn.Module):
    """nanoGPT's names, written apart from ckpt2hf."""

    def __init__(self, heads: int, activation: str = "gelu_tanh") -> None:
        super().__init__()
        parts = {"wte": nn.Embedding(VOCAB, WIDTH), "wpe": nn.Embedding(CONTEXT, WIDTH)}
        blocks = nn.ModuleList([Block(heads, activation) for _ in range(LAYERS)])
        self.transformer = nn.ModuleDict({**parts, "h": blocks, "ln_f": nn.LayerNorm(WIDTH)})
        self.lm_head = nn.Linear(WIDTH, VOCAB, bias=False)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        t = self.transformer
        x = t["wte"](ids) + t["wpe"](torch.arange(ids.shape[1]))
        for block in t["h"]:
            x = block(x)
        return self.lm_head(t["ln_f"](x))


def example_text(seed: int, count: int) -> list[str]:
    """Paragraphs of the example's grammar."""
    folder = str(ROOT / "scripts")
    sys.path.insert(0, folder)
    try:
        module = load_module(ROOT / "scripts" / "example_text.py", "example_text")
    finally:
        sys.path.remove(folder)
    return list(islice(module.paragraphs(seed), count))


def example_ids(texts: list[str]) -> NDArray[np.int64]:
    """Their token ids in a row, by the example's tokenizer."""
    tokenizer = Tokenizer.from_file(str(EXAMPLE / "tokenizer.json"))
    return np.concatenate([np.array(each.ids, dtype=np.int64) for each in tokenizer.encode_batch(texts)])


def train(model: nn.Module, stream: NDArray[np.int64], steps: int, seed: int = 1) -> None:
    """Fits the model to random windows of the stream."""
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=RATE, total_steps=steps, pct_start=0.1)
    ids = torch.from_numpy(stream)
    for _ in range(steps):
        starts = torch.randint(len(ids) - CONTEXT - 1, (BATCH,), generator=random)
        rows = torch.stack([ids[start : start + CONTEXT + 1] for start in starts.tolist()])
        loss = functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
