"""The names of points: beside them where there is room, else in a column at the side, with a line from each point."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt2hf.report.html.plots import svg
from ckpt2hf.report.html.plots.labels import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ckpt2hf.report.html.plots.labels import Field, Placed

Point = tuple[float, float, str]
"""Where a point lies, and what it is called."""
AWAY = 26.0
"""Units from the axes to the names of a column."""
_SAME = 6.0
"""Units within which points cannot be told apart: one of them gets the names of all."""
_LINES = 4
"""Names that stand together."""


def beside(points: Sequence[Point], room: Field, radius: float) -> list[str] | None:
    """The names, each close to its point; None where not all have room."""
    clusters = _clusters(points)
    for x, y, _ in points:
        room.occupy(x, y, radius + 1)
    drawn: list[str] = []
    for x, y, names in clusters:
        placed = room.place(x, y, names)
        if placed is None:
            return None
        drawn += _written(placed)
    return drawn


def in_column(points: Sequence[Point], left: float, low: float, high: float) -> list[str]:
    """The names below each other, in the order of their points' heights. Raises ValueError where they have no room."""
    ordered = sorted(points, key=lambda point: (point[1], -point[0], point[2]))
    heights = spread([y for _, y, _ in ordered], svg.LINE, low, high)
    drawn: list[str] = []
    for (x, y, name), at in zip(ordered, heights, strict=True):
        drawn += [svg.line(x, y, left - 4, at, "leader"), svg.label(name, left, at + 4)]
    return drawn


def _written(placed: Placed) -> list[str]:
    leader = [svg.line(*placed.leader, "leader")] if placed.leader else []
    anchor, side = ("end", placed.box.right - 1) if placed.right else ("start", placed.box.left + 1)
    return [*leader, *(svg.label(name, side, placed.base(k), anchor=anchor) for k, name in enumerate(placed.names))]


def _clusters(points: Sequence[Point]) -> list[tuple[float, float, list[str]]]:
    """Points that lie on each other, with their names; the largest first, because it is the hardest to place."""
    clusters: list[tuple[float, float, list[str]]] = []
    for x, y, name in sorted(points):
        same = (c for c in clusters if math.dist(c[:2], (x, y)) <= _SAME and len(c[2]) < _LINES)
        if there := next(same, None):
            there[2].append(svg.shortened(name))
        else:
            clusters.append((x, y, [svg.shortened(name)]))
    return sorted(clusters, key=lambda cluster: -len(cluster[2]))
