"""How far logits lie from others on the same tokens, added up over batches. Imports NumPy only."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.stages.price import Price
from ckpt2hf.verify import Check, surprisal

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array

_AT_ONCE = 1 << 20
"""Logits that are looked at in float64 at a time."""
_LOGITS = "logits"
FINITE = "finite logits"
CACHED_ROWS, CACHED_TOKENS = 2, 48
"""Sequences that are read token by token as well, and tokens of each."""


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
class Divergence:
    """What is added up over positions, and what follows from it."""

    finite: bool = True
    """Whether every logit that was found is a number."""
    _kl: list[Array] = field(default_factory=list)
    _same: int = 0
    _nats: tuple[float, float] = (0.0, 0.0)
    _errors: defaultdict[str, _Error] = field(default_factory=lambda: defaultdict(_Error))

    def add(self, wanted: Array, found: Array, following: Array | None) -> None:
        """Positions of both, logits `[batch, time, vocab]`, and the tokens that follow `[batch, time]`."""
        self.finite = self.finite and bool(np.isfinite(found).all())
        self._errors[_LOGITS].add(_centred(wanted), _centred(found))
        self._kl.append(kl(wanted, found).reshape(-1))
        self._same += int((wanted.argmax(-1) == found.argmax(-1)).sum())
        if following is not None:
            before, after = self._nats
            self._nats = (
                before + float(surprisal(wanted, following).sum()),
                after + float(surprisal(found, following).sum()),
            )

    def add_inside(self, name: str, wanted: Array, found: Array) -> None:
        """Numbers inside the model, such as the keys of a layer."""
        self._errors[name].add(wanted, found)

    @property
    def count(self) -> int:
        """Positions."""
        return sum(map(len, self._kl))

    @property
    def mean_kl(self) -> float:
        """In nats per token."""
        return float(np.concatenate(self._kl).mean())

    @property
    def p99_kl(self) -> float:
        """The 99th percentile."""
        return float(np.quantile(np.concatenate(self._kl), 0.99))

    @property
    def top1(self) -> float:
        """Share of positions with the same most likely token."""
        return self._same / self.count

    @property
    def ppl_ratio(self) -> float:
        """Perplexity by that of what was wanted; infinite beyond all numbers."""
        before, after = self._nats
        try:
            return math.exp((after - before) / self.count)
        except OverflowError:
            return math.inf

    @property
    def logit_error(self) -> float:
        """The norm of the difference by the norm, each position's mean apart."""
        return self._errors[_LOGITS].relative

    def price(
        self, cached: Divergence, *, real: bool, keys: tuple[float, ...] = (), values: tuple[float, ...] = ()
    ) -> Price:
        """All of it. `cached` is the form token by token against itself; `real` tokens are those of a text."""
        return Price(
            tokens=self.count,
            mean_kl=self.mean_kl,
            p99_kl=self.p99_kl,
            top1=self.top1,
            ppl_ratio=self.ppl_ratio if real else None,
            cache_top1=cached.top1,
            cache_kl=cached.mean_kl,
            key_errors=keys,
            value_errors=values,
            logit_error=self.logit_error,
        )

    def finite_check(self) -> Check:
        """Whether there is anything to go on at all."""
        numbers = "numbers" if self.finite else "not all numbers"
        return Check(FINITE, passed=self.finite, summary=f"logits of {self.count} positions are {numbers}")

    def error_inside(self, name: str) -> float:
        """The same of numbers inside the model."""
        return self._errors[name].relative


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
