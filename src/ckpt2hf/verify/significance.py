"""Student's one-sided paired t-test, exact, with nothing but arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ckpt2hf.tensors import Array

_TINY = 1e-300
_CONVERGED = 1e-15
_TERMS = 10_000
"""More than the continued fraction ever takes: about the square root of the larger parameter."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger one series is than another, measured in pairs."""

    mean: float
    error: float
    """Standard error of the mean."""
    p: float
    """Probability of a mean this large or larger if the true one is zero or less."""


def larger(a: Array, b: Array) -> Difference:
    """How much larger `a` is than `b`, two series of the same length, at least 2."""
    apart = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    count = len(apart)
    mean, error = float(apart.mean()), float(apart.std(ddof=1)) / math.sqrt(count)
    if error == 0:
        return Difference(mean, 0.0, 0.0 if mean > 0 else 1.0)
    return Difference(mean, error, t_tail(mean / error, count - 1))


def t_tail(t: float, freedom: int) -> float:
    """The probability that Student's t with these degrees of freedom is at least `t`."""
    both = beta_share(freedom / (freedom + t * t), freedom / 2, 0.5)
    return both / 2 if t > 0 else 1 - both / 2


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), for `x` from 0 to 1.

    Source: NIST Digital Library of Mathematical Functions, 8.17.4 (symmetry) and 8.17.22 (continued fraction).
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below that
        return 1 - beta_share(1 - x, b, a)
    log_front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log_front) / (a * _fraction(x, a, b))


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + …)) of 8.17.22, from the front: ratios of successive numerators and denominators."""
    value = ratio = 1.0
    inverse = 0.0
    for term in range(1, _TERMS):
        m = term // 2
        if term % 2:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        inverse = 1 / (1 + d * inverse or _TINY)
        ratio = 1 + d / ratio or _TINY
        change = ratio * inverse
        value *= change
        if abs(change - 1) < _CONVERGED:
            break
    return value
