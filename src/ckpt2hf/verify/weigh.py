"""Readings weighed by their losses on the same windows of text: which is best, and which are shown to be worse.

The unit of every test is a window, because tokens inside one depend on each other. The truth is rejected with a
probability of at most `ALPHA`, however many readings there are and whichever turns out best: each of them would have to
beat the truth in a test of its own, and the levels of these tests add up to `ALPHA`. It is spent in two halves, one on
a few windows, where most readings are hopeless already, and one on all windows.

A reading also has to be worse when the logits of both are divided by what suits each best. On text of another kind a
model is too sure of itself, and a wrong function that blurs it predicts better; that advantage is gone then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.verify.significance import Difference, larger

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from ckpt2hf.tensors import Array

ALPHA = 1e-3
"""The probability of rejecting the true reading that is accepted, over all tests of one sample."""
MARGIN = 1e-3
"""Nats per token that a difference must exceed as well, however significant it is.

Training finds a minimum with regard to the weights, not to activation or eps. So a slightly wrong function can predict
slightly better than the right one, and enough text makes that significant. In models trained to see it
(docs/evidence.md) a wrong GELU won by up to 1.1e-5 and a wrong eps by up to 1.8e-5 nats per token, 20 and 11 standard
errors. This is 50 times that, and at most a thirtieth of what wrong heads, a wrong scale or ReLU for GELU cost."""
NOISE_FACTOR = 10.0
"""How many times the error of float32 a difference must exceed."""
SCREEN = 16
"""Windows on which hopeless readings are recognised."""
LEAST_WINDOWS = 16
"""Fewer do not make a mean that a t-test may be asked about."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One reading against the best one, on the windows it was measured on."""

    key: Hashable
    loss: float
    apart: Difference
    tempered: Difference
    """The same with the logits of each divided by what suits it best."""
    windows: int
    worse: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The best reading, and how every other that was measured compares with it, in the order of their losses."""

    best: Hashable
    losses: Array
    """The best reading's losses `[temperatures, windows]`."""
    others: tuple[Comparison, ...]
    level: float
    floor: float
    """Nats per token that a difference had to exceed."""

    @property
    def level_with_best(self) -> tuple[Hashable, ...]:
        """The best reading and those that are not shown to be worse."""
        return (self.best, *(each.key for each in self.others if not each.worse))


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look for the best reading."""

    starts: Sequence[Hashable]
    """Every reading, or one of each kind."""
    beside: Callable[[Hashable], Iterable[Hashable]]
    """The readings that are compared with one before it may count as best; none where all are starts."""
    total: int
    """How many readings there are at most, looked at or not."""


@dataclass(frozen=True, slots=True)
class Scales:
    """How readings are measured."""

    measure: Callable[[Hashable, Array], Array]
    """The losses `[temperatures, windows]` of a reading in these windows, in nats per token; plain ones first."""
    noise: Callable[[Hashable], float]
    """By how much float32 is off in a window of a reading."""
    windows: int
    baseline: Array | None = None
    """The loss of a model without context in each window: where no reading is better, the rest is not measured."""
    stage: Callable[[str], None] = lambda _said: None
    """Told what begins."""
    measured: Callable[[int], None] = lambda _count: None
    """Told how many readings were measured on the first windows, each time that it is one more."""


def weigh(search: Search, scales: Scales) -> Outcome:
    """The best reading on a few windows, then among those that are left on all of them."""
    few = screened(scales.windows)
    rest = np.setdiff1d(np.arange(scales.windows), few)
    rough: dict[Hashable, Array] = {}
    full: dict[Hashable, Array] = {}
    level = ALPHA / 2 / max(search.total - 1, 1)

    def look(keys: Iterable[Hashable]) -> None:
        for key in keys:
            if key not in rough:
                rough[key] = scales.measure(key, few)
                scales.measured(len(rough))

    scales.stage(f"{len(few)} windows for each reading, of {search.total} at most")
    for start in search.starts:
        _climb(start, search, look, rough)
    while True:
        front = min(rough, key=lambda key: _mean(rough[key]))
        floor = max(MARGIN, NOISE_FACTOR * scales.noise(front))
        hopeless = scales.baseline is not None and _mean(rough[front]) >= float(scales.baseline[few].mean())
        left = [key for key in rough if not _worse(_both(rough[key], rough[front]), level, floor)]
        open_ones = left
        left = [front] if hopeless else left
        fresh = [key for key in left if key not in full]
        if fresh and len(rest):
            scales.stage(f"{len(left)} of {len(rough)} readings on {scales.windows} windows")
        for key in fresh:
            full[key] = _together(few, rough[key], rest, scales.measure(key, rest) if len(rest) else rough[key][:, :0])
        best = min(left, key=lambda key: _mean(full[key]))
        if hopeless or not [key for key in search.beside(best) if key not in rough]:
            break
        look(search.beside(best))
    done = _Done(rough, full, few)
    others = [done.compared(key, best, (level, floor), unsettled=key in open_ones) for key in rough if key != best]
    return Outcome(best, full[best], tuple(sorted(others, key=lambda each: each.apart.mean)), level, floor)


def screened(windows: int) -> Array:
    """The windows that are looked at first, spread over all."""
    spread: Array = np.unique(np.linspace(0, windows - 1, min(windows, SCREEN)).round().astype(np.int64))
    return spread


def _climb(
    start: Hashable, search: Search, look: Callable[[Iterable[Hashable]], None], rough: dict[Hashable, Array]
) -> None:
    """Look at everything beside the best reading, until nothing beside it is better by more than the margin.

    What is better by less is followed where it matters: `weigh` looks at all that is beside its final best.
    """
    at = start
    while True:
        near = [at, *search.beside(at)]
        look(near)
        better = min(near, key=lambda key: _mean(rough[key]))
        if not _mean(rough[better]) < _mean(rough[at]) - MARGIN:
            return
        at = better


@dataclass(frozen=True, slots=True)
class _Done:
    """Everything that was measured, on the first windows and on all of them."""

    rough: dict[Hashable, Array]
    full: dict[Hashable, Array]
    few: Array

    def compared(self, key: Hashable, best: Hashable, limits: tuple[float, float], *, unsettled: bool) -> Comparison:
        """One reading against the best one; where it was not `unsettled`, the first windows were enough."""
        full = self.full
        losses, other = (full[key], full[best]) if key in full else (self.rough[key], full[best][:, self.few])
        both = _both(losses, other)
        worse = _worse(both, *limits) if key in full else not unsettled
        return Comparison(key, _mean(losses), *both, losses.shape[1], worse)


def suits(losses: Array) -> int:
    """The number of the temperature at which a reading loses least."""
    return int(losses.mean(1).argmin())


def _mean(losses: Array) -> float:
    return float(losses[0].mean())


def _both(a: Array, b: Array) -> tuple[Difference, Difference]:
    """How much larger losses are, as they are and each at the temperature that suits it."""
    return larger(a[0], b[0]), larger(a[suits(a)], b[suits(b)])


def _worse(both: tuple[Difference, Difference], level: float, floor: float) -> bool:
    return all(apart.p <= level and apart.mean > floor for apart in both)


def _together(few: Array, first: Array, rest: Array, second: Array) -> Array:
    both: Array = np.empty((len(first), len(few) + len(rest)))
    both[:, few], both[:, rest] = first, second
    return both
