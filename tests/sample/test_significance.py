"""The test is Student's, and its promise holds for differences that are far from normal."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from ckpt2hf.verify.significance import beta_share, larger, t_tail

# Upper critical values of Student's t as printed in statistical tables, four digits.
TABLE = [
    (1, 0.05, 6.314), (1, 0.025, 12.706), (1, 0.001, 318.309), (2, 0.01, 6.965), (5, 0.05, 2.015), (5, 0.0005, 6.869),
    (10, 0.05, 1.812), (10, 0.025, 2.228), (10, 0.005, 3.169), (10, 0.0005, 4.587), (15, 0.001, 3.733),
    (30, 0.05, 1.697), (30, 0.005, 2.750), (30, 0.0005, 3.646), (120, 0.05, 1.658), (120, 0.001, 3.160),
]  # fmt: skip
DIGITS = 2e-3
"""Relative: three decimals of a critical value."""


@pytest.mark.parametrize(("freedom", "tail", "critical"), TABLE)
def test_the_tail_is_that_of_the_tables(freedom: int, tail: float, critical: float) -> None:
    assert t_tail(critical, freedom) == pytest.approx(tail, rel=DIGITS * math.sqrt(freedom))
    assert t_tail(-critical, freedom) == pytest.approx(1 - tail, rel=DIGITS)


@pytest.mark.parametrize("t", [-3.0, -0.5, 0.0, 0.5, 3.0, 40.0, 1e6])
def test_closed_forms(t: float) -> None:
    # With 1 degree of freedom t is Cauchy's, with 2 its distribution is algebraic.
    cauchy = math.atan2(1, t) / math.pi
    assert t_tail(t, 1) == pytest.approx(cauchy, rel=1e-9)
    root = math.sqrt(2 + t * t)
    two = 1 / (root * (root + t))
    assert t_tail(t, 2) == pytest.approx(two, rel=1e-9)


def test_many_degrees_of_freedom_are_the_normal_distribution() -> None:
    for t in (0.3, 1.0, 2.5, 5.0):
        normal = math.erfc(t / math.sqrt(2)) / 2
        assert t_tail(t, 10**7) == pytest.approx(normal, rel=1e-4)


def test_a_tail_is_a_probability_that_falls() -> None:
    for freedom in (1, 7, 15, 127, 4095):
        tails = [t_tail(t, freedom) for t in np.linspace(-50, 50, 401)]
        assert all(0 <= tail <= 1 for tail in tails)
        assert all(a >= b for a, b in pairwise(tails))


def test_beta_is_symmetric_and_ends_at_0_and_1() -> None:
    for a, b, x in ((0.5, 8.0, 0.1), (64.0, 0.5, 0.9), (3.0, 3.0, 0.5)):
        assert beta_share(x, a, b) + beta_share(1 - x, b, a) == pytest.approx(1, abs=1e-12)
        assert (beta_share(0, a, b), beta_share(1, a, b)) == (0, 1)


def test_no_scatter_needs_no_division() -> None:
    same = np.full(16, 2.0)
    assert larger(same, same).p == 1.0
    assert larger(same + 1, same).p == 0.0
    assert larger(same - 1, same).p == 1.0


@pytest.mark.parametrize("windows", [16, 32, 128])
@pytest.mark.parametrize("shape", ["normal", "heavy", "skewed", "spikes"])
def test_equal_series_are_rarely_told_apart(shape: str, windows: int) -> None:
    # 20,000 pairs whose true difference is zero, tested at 1%: rejected in 1%, give or take.
    random = np.random.default_rng(5)
    size = (20_000, windows)
    base = {
        "normal": lambda: random.normal(size=size),
        "heavy": lambda: random.standard_t(3, size=size),
        "skewed": lambda: random.exponential(size=size) - random.exponential(size=size),
        "spikes": lambda: random.normal(size=size) * (1 + 9 * (random.random(size) < 0.05)),
    }[shape]()
    means, errors = base.mean(1), base.std(1, ddof=1) / math.sqrt(windows)
    critical = next(t for t in np.linspace(2.2, 2.7, 5001) if t_tail(t, windows - 1) <= 0.01)
    assert (means / errors > critical).mean() <= 0.0125
