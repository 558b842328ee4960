"""Where a value lies on an axis, and which values the axis names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDE = 8.0
"""Ratio of the largest to the smallest size above which a logarithmic axis shows more."""
_NEAR = 1.7
"""Ratio below which an axis from zero would press all sizes into one end of it."""
_STEPS = (1, 2, 5, 10)
_NAMED = ((1, 2, 5), (1, 3), (1,))
"""What a logarithmic axis names of each decade: as much as has room."""
_NAMES = 8
"""Names that an axis of powers has at most."""
_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis."""

    low: float
    high: float
    begin: float
    """Where `low` is drawn."""
    end: float
    """Where `high` is drawn."""
    log: bool
    ticks: tuple[float, ...]
    """Values that are named, all of them between `low` and `high`."""

    def at(self, value: float) -> float:
        """Where a value is drawn."""
        low, high, here = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.begin + (here - low) / (high - low) * (self.end - self.begin)


def decades(values: Sequence[float], begin: float, end: float) -> Scale:
    """A logarithmic axis over positive values, from and to 1, 2 or 5 times a power of ten."""
    low, high = _below(min(values)), _above(max(values))
    if high <= low * 5:
        low, high = _below(low / 2), _above(high * 2)
    return Scale(low, high, begin, end, log=True, ticks=_named(low, high, _NAMES))


def sizes(values: Sequence[float], begin: float, end: float, most: int) -> Scale:
    """An axis of file sizes: from zero where that tells them apart, else from below the smallest, or logarithmic."""
    small, large = min(values), max(values)
    if small > 0 and large / small > _WIDE:
        low, high = small / 1.15, large * 1.15
        return Scale(low, high, begin, end, log=True, ticks=_named(low, high, most))
    span = large - small
    low = 0.0 if large > small * _NEAR else max(0.0, small - max(span, large / 100) * 0.15)
    high = large + max(large - low, large / 100) * 0.08
    step = _step((high - low) / most)
    first, last = math.ceil(low / step), math.floor(high / step)
    return Scale(low, high, begin, end, log=False, ticks=tuple(k * step for k in range(first, last + 1)))


def size_word(nbytes: float) -> str:
    """A size that an axis names."""
    unit, word = next(((u, w) for u, w in _UNITS if nbytes >= u), (1.0, "B"))
    return f"{nbytes / unit:.6g} {word}"


def power(value: float) -> str:
    """A number that a logarithmic axis names: `10⁻⁴`, `2·10⁻⁴`."""
    exponent = math.floor(math.log10(value) + 1e-9)
    digit = round(value / 10.0**exponent)
    raised = f"10{str(exponent).translate(_RAISED)}"
    return raised if digit == 1 else f"{digit}·{raised}"


def percent(value: float) -> str:
    """A share that an axis names: `0.01 %`."""
    return f"{value * 100:.6g} %"


def _below(value: float) -> float:
    exponent = math.floor(math.log10(value))
    return max(step * 10.0**k for k in (exponent - 1, exponent) for step in _STEPS if step * 10.0**k <= value)


def _above(value: float) -> float:
    exponent = math.floor(math.log10(value))
    return min(step * 10.0**k for k in (exponent, exponent + 1) for step in _STEPS if step * 10.0**k >= value)


def _named(low: float, high: float, most: int) -> tuple[float, ...]:
    """The values of a logarithmic axis that have a name, evenly enough that `most` of them would have room."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    gap = math.log10(high / low) / most
    steps = next((each for each in _NAMED if _narrowest(each) >= gap), _NAMED[-1])
    apart = max(1, math.ceil(gap))
    found = (step * 10.0**k for k in range(first, last + 1) if k % apart == 0 for step in steps)
    return tuple(value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9))


def _narrowest(steps: Sequence[int]) -> float:
    """The least distance of two neighbours, in decades."""
    return min(math.log10(later / earlier) for earlier, later in pairwise((*steps, steps[0] * 10)))


def _step(rough: float) -> float:
    """A round number not smaller than this."""
    return next(
        step for step in (s * 10.0 ** math.floor(math.log10(rough)) for s in (1, 2, 2.5, 5, 10)) if step >= rough
    )
