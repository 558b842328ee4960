"""What an inexact form of a model costs, against float32 on the same tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The numbers."""

    tokens: int
    """Positions that were compared."""
    mean_kl: float
    """Kullback-Leibler divergence from float32, in nats per token."""
    p99_kl: float
    """Its 99th percentile."""
    top1: float
    """Share of positions with the same most likely token."""
    ppl_ratio: float | None
    """Perplexity by that of float32; None where the tokens are no text."""
    cache_top1: float
    """Share of positions with the same most likely token, with and without cache."""
    cache_kl: float
    """Mean KL divergence between the two, in nats per token."""
    key_errors: tuple[float, ...]
    """How far the keys of each layer lie from those of float32: the norm of the difference by the norm."""
    value_errors: tuple[float, ...]
    """The same of the values."""
    logit_error: float
    """The same of the logits, each position's mean apart, which changes no probability."""
