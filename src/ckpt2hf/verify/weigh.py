"""Readings weighed by their losses on the same windows of text: which is best, and which are shown to be worse.

The unit of every test is a window, because tokens inside one depend on each other. The truth is rejected with a
probability of at most `ALPHA`, however many readings there are and whichever turns out best: each of them would have to
beat the truth in a test of its own, and the levels of these tests add up to `ALPHA`. It is spent in two halves, one on
a few windows, where most readings are hopeless already, and one on all windows.

A reading also has to be worse when the logits of both are divided by what suits each best. On text of another kind a
model is too sure of itself, and a wrong function that blurs it predicts better; that advantage is gone then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    level = ALPHA / 2 / max(search.total - 1, 1)
    losses = _Losses(scales, screened(scales.windows))
    scales.stage(f"{len(losses.few)} windows for each reading, of {search.total} at most")
    for start in search.starts:
        _climb(start, search, losses)
    while True:
        screen = losses.screen(level)
        best = losses.best_of(screen.left)
        if screen.hopeless or not losses.look(search.beside(best)):
            return losses.outcome(best, screen)


def screened(windows: int) -> Array:
    """The windows that are looked at first, spread over all."""
    spread: Array = np.unique(np.linspace(0, windows - 1, min(windows, SCREEN)).round().astype(np.int64))
    return spread


@dataclass(frozen=True, slots=True)
class _Screen:
    """What the first windows show."""

    level: float
    floor: float
    front: Hashable
    """The reading that is best on them."""
    hopeless: bool
    """Whether even that one is no better than a model without context."""
    unsettled: tuple[Hashable, ...]
    """The readings that are not shown to be worse."""

    @property
    def left(self) -> tuple[Hashable, ...]:
        """The readings to measure on all windows."""
        return (self.front,) if self.hopeless else self.unsettled


@dataclass(frozen=True, slots=True)
class _Losses:
    """What readings lose, each measured once: on the first windows, and where that decides nothing, on all."""

    scales: Scales
    few: Array
    rough: dict[Hashable, Array] = field(default_factory=dict)
    full: dict[Hashable, Array] = field(default_factory=dict)

    def look(self, keys: Iterable[Hashable]) -> bool:
        """Measure readings on the first windows; whether any of them was new."""
        fresh = [key for key in dict.fromkeys(keys) if key not in self.rough]
        for key in fresh:
            self.rough[key] = self.scales.measure(key, self.few)
            self.scales.measured(len(self.rough))
        return bool(fresh)

    def screen(self, level: float) -> _Screen:
        """What is left of the readings that were looked at."""
        front = min(self.rough, key=lambda key: _mean(self.rough[key]))
        floor = max(MARGIN, NOISE_FACTOR * self.scales.noise(front))
        baseline = self.scales.baseline
        hopeless = baseline is not None and _mean(self.rough[front]) >= float(baseline[self.few].mean())
        unsettled = (key for key in self.rough if not _worse(_both(self.rough[key], self.rough[front]), level, floor))
        return _Screen(level, floor, front, hopeless, tuple(unsettled))

    def best_of(self, left: Sequence[Hashable]) -> Hashable:
        """The best of these readings on all windows."""
        rest = np.setdiff1d(np.arange(self.scales.windows), self.few)
        fresh = [key for key in left if key not in self.full]
        if fresh and len(rest):
            self.scales.stage(f"{len(left)} of {len(self.rough)} readings on {self.scales.windows} windows")
        for key in fresh:
            first = self.rough[key]
            second = self.scales.measure(key, rest) if len(rest) else first[:, :0]
            self.full[key] = _together(self.few, first, rest, second)
        return min(left, key=lambda key: _mean(self.full[key]))

    def outcome(self, best: Hashable, screen: _Screen) -> Outcome:
        """Every reading against the best one."""
        others = (self._compared(key, best, screen) for key in self.rough if key != best)
        in_order = tuple(sorted(others, key=lambda each: each.apart.mean))
        return Outcome(best, self.full[best], in_order, screen.level, screen.floor)

    def _compared(self, key: Hashable, best: Hashable, screen: _Screen) -> Comparison:
        """One reading against the best one; where the first windows settled it, they were enough."""
        whole = key in self.full
        losses, other = (self.full[key], self.full[best]) if whole else (self.rough[key], self.full[best][:, self.few])
        both = _both(losses, other)
        worse = _worse(both, screen.level, screen.floor) if whole else key not in screen.unsettled
        return Comparison(key, _mean(losses), *both, losses.shape[1], worse)


def _climb(start: Hashable, search: Search, losses: _Losses) -> None:
    """Look at everything beside the best reading, until nothing beside it is better by more than the margin.

    What is better by less is followed where it matters: `weigh` looks at all that is beside its final best.
    """
    at = start
    while True:
        near = [at, *search.beside(at)]
        losses.look(near)
        better = min(near, key=lambda key: _mean(losses.rough[key]))
        if not _mean(losses.rough[better]) < _mean(losses.rough[at]) - MARGIN:
            return
        at = better


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
