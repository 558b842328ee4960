"""What a form costs: its logits against those of float32 on the same tokens, and against its own with cache."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.stages.onnx_model import OnnxModel
from ckpt2hf.stages.price import Price
from ckpt2hf.verify import Check, Windows, surprisal

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.stages.job import Job
    from ckpt2hf.tensors import Array

_AT_ONCE = 1 << 20
"""Logits that are looked at in float64 at a time."""
_CACHED_ROWS, _CACHED_TOKENS = 2, 48
"""Sequences that are read token by token as well, and tokens of each."""
_LOGITS = "logits"
FINITE, CACHED = "finite logits", "cache"


@dataclass
class _Error:
    """Squares of what was wanted, and of how far what was found lies from it."""

    whole: float = 0.0
    apart: float = 0.0

    def add(self, wanted: Array, found: Array) -> None:
        self.whole += float(np.vdot(wanted, wanted))
        self.apart += float(np.square(wanted - found).sum())

    @property
    def relative(self) -> float:
        """By the norm of what was wanted; infinite where that is nothing and something was found."""
        return math.sqrt(self.apart / self.whole) if self.whole else math.inf if self.apart else 0.0


@dataclass
class _Sums:
    """What is added up over positions."""

    kl: list[Array] = field(default_factory=list)
    same: int = 0
    nats: tuple[float, float] = (0.0, 0.0)
    errors: defaultdict[str, _Error] = field(default_factory=lambda: defaultdict(_Error))

    def add(self, wanted: Array, found: Array, following: Array | None) -> None:
        """Positions of both, logits `[batch, time, vocab]`, and the tokens that follow `[batch, time]`."""
        self.kl.append(kl(wanted, found).reshape(-1))
        self.same += int((wanted.argmax(-1) == found.argmax(-1)).sum())
        if following is not None:
            before, after = self.nats
            self.nats = (
                before + float(surprisal(wanted, following).sum()),
                after + float(surprisal(found, following).sum()),
            )


def price_of(base: Path, file: Path, tokens: Array, job: Job) -> tuple[tuple[Check, ...], Price]:
    """Checks, and the price. `tokens` are `[stretches, tokens]`."""
    exact, made = OnnxModel(base), OnnxModel(file)
    sums, finite = _Sums(), True
    rows: list[Array] = []
    for ids, fresh in Windows(tokens, job.window, job.window).batches(job.at_once):
        last = int(fresh.max())
        (wanted, kept), (found, rounded) = exact.step(ids[:, :-1]), made.step(ids[:, :-1])
        for name in kept.keys() & rounded.keys():
            sums.errors[name].add(kept[name][:, :, -last:], rounded[name][:, :, -last:])
        wanted, found = wanted[:, -last:], found[:, -last:]
        sums.errors[_LOGITS].add(_centred(wanted), _centred(found))
        finite = finite and bool(np.isfinite(found).all())
        sums.add(wanted, found, ids[:, -last:] if job.real else None)
        rows += list(ids[: max(_CACHED_ROWS - len(rows), 0), : min(_CACHED_TOKENS, job.window)])
    divergences = np.concatenate(sums.kl)
    count = len(divergences)
    cache_top1, cache_kl = _cache(made, rows)
    before, after = sums.nats
    price = Price(
        tokens=count,
        mean_kl=float(divergences.mean()),
        p99_kl=float(np.quantile(divergences, 0.99)),
        top1=sums.same / count,
        ppl_ratio=_ratio((after - before) / count) if job.real else None,
        cache_top1=cache_top1,
        cache_kl=cache_kl,
        key_errors=tuple(sums.errors[keys].relative for keys, _ in exact.layers),
        value_errors=tuple(sums.errors[values].relative for _, values in exact.layers),
        logit_error=sums.errors[_LOGITS].relative,
    )
    checks = (
        Check(FINITE, passed=finite, summary=f"logits of {count} positions are {'' if finite else 'not all '}numbers"),
        Check(CACHED, passed=made.has_cache, summary="it takes past key values" if made.has_cache else "it takes none"),
    )
    return checks, price


def kl(wanted: Array, found: Array) -> Array:
    """Kullback-Leibler divergence of `found` from `wanted` logits `[…, vocab]` at each position, in nats."""
    p, q = wanted.reshape(-1, wanted.shape[-1]), found.reshape(-1, found.shape[-1])
    each = np.empty(len(p))
    step = max(_AT_ONCE // p.shape[-1], 1)
    for first in range(0, len(p), step):
        part = slice(first, first + step)
        a, b = _log_softmax(p[part]), _log_softmax(q[part])
        each[part] = (np.exp(a) * (a - b)).sum(-1)
    return np.maximum(each, 0.0).reshape(wanted.shape[:-1])  # rounding can leave it a little below; NaN stays


def _log_softmax(logits: Array) -> Array:
    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):  # an infinity gives NaN, which no gate lets pass
        wide -= wide.max(-1, keepdims=True)
        less: Array = wide - np.log(np.exp(wide).sum(-1, keepdims=True))
    return less


def _centred(logits: Array) -> Array:
    """Logits less their mean at each position."""
    less: Array = logits - logits.mean(-1, keepdims=True)
    return less


def _cache(model: OnnxModel, rows: list[Array]) -> tuple[float, float]:
    """Top-1 agreement and mean KL of logits read at once and read token by token."""
    same, divergences = [], []
    for row in rows:
        ids, past, steps = row[None], None, []
        for k in range(ids.shape[1]):
            logits, past = model.step(ids[:, k : k + 1], past)
            steps.append(logits)
        whole, stepped = model.logits(ids), np.concatenate(steps, 1)
        same.append(whole.argmax(-1) == stepped.argmax(-1))
        divergences.append(kl(whole, stepped))
    return float(np.concatenate(same, 1).mean()), float(np.concatenate(divergences, 1).mean())


def _ratio(nats: float) -> float:
    """The perplexity ratio of a difference in loss; infinite beyond all numbers."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
