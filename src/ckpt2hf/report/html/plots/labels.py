"""Where names go beside the points of a plot: none lies on another, on a point, or outside."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.report.html.plots.svg import ASCENT, LINE, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

_CLEAR = 1.0
"""Units that are left free around a label."""
_NEAR = 9.0
"""Units from a point to a label that needs no line to it."""
_REACH = 6.0
"""Units from one ring of places that are tried to the next."""
_RINGS = 7
"""Rings that are tried: a name further away would not be taken for that of its point."""
_WAYS = 24
"""Directions that are tried."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they have a point in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: Box) -> bool:
        """Whether all of it lies in the other."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True, slots=True)
class Placed:
    """Lines of names, and the line that leads to them where they are not beside their point."""

    box: Box
    names: tuple[str, ...]
    leader: tuple[float, float, float, float] | None
    right: bool
    """Whether the text ends at the right side of the box, because its point is there."""

    def base(self, k: int) -> float:
        """The base line of a name."""
        return self.box.top + _CLEAR + ASCENT + k * LINE


@dataclass(slots=True)
class Field:
    """The area that labels share, and what is in it so far."""

    area: Box
    taken: list[Box] = field(default_factory=list)
    crossed: list[Box] = field(default_factory=list)
    """Along lines, which no label hides either."""

    def occupy(self, x: float, y: float, radius: float) -> None:
        """A point that no label may hide."""
        self.taken.append(Box(x - radius, y - radius, x + radius, y + radius))

    def cross(self, x1: float, y1: float, x2: float, y2: float) -> None:
        """A line that no label may hide."""
        self.crossed.extend(_along((x1, y1, x2, y2)))

    def place(self, x: float, y: float, names: Sequence[str]) -> Placed | None:
        """The place for these names that is nearest to their point; None where there is no room close to it."""
        width = max(map(width_of, names)) + 2 * _CLEAR
        height = len(names) * LINE + 2 * _CLEAR
        for ring in range(_RINGS):
            for way in range(_WAYS):
                if found := self._tried(x, y, width, height, ring, way):
                    return self._kept(found, x, y, tuple(names))
        return None

    def _tried(self, x: float, y: float, width: float, height: float, ring: int, way: int) -> Box | None:
        # To the right first, then by turns above and below it, and to the left last.
        turn = (way + 1) // 2 * (1 if way % 2 else -1)
        angle = 2 * math.pi * turn / _WAYS
        dx, dy = math.cos(angle), math.sin(angle)
        reach = _NEAR - _CLEAR + ring * _REACH
        left = x + dx * (reach + width / 2) - width / 2
        top = y + dy * (reach + height / 2) - height / 2
        box = Box(left, top, left + width, top + height)
        if not box.within(self.area) or any(box.meets(other) for other in (*self.taken, *self.crossed)):
            return None
        own = Box(x - 2, y - 2, x + 2, y + 2)
        others = [other for other in self.taken if not other.meets(own)]
        return None if any(step.meets(other) for step in _along(_leader(box, x, y)) for other in others) else box

    def _kept(self, box: Box, x: float, y: float, names: tuple[str, ...]) -> Placed:
        self.taken.append(box)
        leader = _leader(box, x, y)
        far = math.dist(leader[:2], leader[2:]) > _NEAR + _REACH
        if far:
            self.cross(*leader)
        return Placed(box, names, leader if far else None, right=box.right < x)


def spread(places: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """The places, moved as little as it takes so that each is `apart` from its neighbours and all are in bounds.

    They come in any order and keep it. Raises ValueError where there is no room.
    """
    if (len(places) - 1) * apart > high - low + 1e-9:
        raise ValueError(f"{len(places)} labels do not fit between {low} and {high}")
    order = sorted(range(len(places)), key=places.__getitem__)
    blocks: list[tuple[float, int]] = []  # the middle of each run of labels that touch, and how many they are
    for k in order:
        middle, count = min(max(places[k], low), high), 1
        while blocks and middle - blocks[-1][0] < (count + blocks[-1][1]) * apart / 2:
            before, many = blocks.pop()
            middle, count = (middle * count + before * many) / (count + many), count + many
            half = (count - 1) * apart / 2
            middle = min(max(middle, low + half), high - half)
        blocks.append((middle, count))
    moved = [middle + (k - (count - 1) / 2) * apart for middle, count in blocks for k in range(count)]
    found = [0.0] * len(places)
    for k, place in zip(order, moved, strict=True):
        found[k] = place
    return found


def _leader(box: Box, x: float, y: float) -> tuple[float, float, float, float]:
    """From the point to what is nearest of the box."""
    return x, y, min(max(x, box.left), box.right), min(max(y, box.top), box.bottom)


def _along(leader: tuple[float, float, float, float]) -> list[Box]:
    x1, y1, x2, y2 = leader
    steps = max(2, int(math.hypot(x2 - x1, y2 - y1) / 3))
    middle = [(x1 + (x2 - x1) * k / steps, y1 + (y2 - y1) * k / steps) for k in range(1, steps)]
    return [Box(x - 1, y - 1, x + 1, y + 1) for x, y in middle]
