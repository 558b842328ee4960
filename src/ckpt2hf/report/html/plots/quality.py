"""What each form costs against how large it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from ckpt2hf.report.html.plots import scales, svg
from ckpt2hf.report.html.plots.labels import Box, Field
from ckpt2hf.report.html.plots.names import AWAY, beside, in_column
from ckpt2hf.report.wording import counted, size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.html.plots.scales import Scale

_HEAD, _BAND, _FOOT = 46.0, 62.0, 42.0
"""Units above the axes, of the line of what computes the same function, and below it."""
_WORDS = 26.0
"""Units below that line for what it is called."""
_LEFT, _RIGHT = 52.0, 8.0
_RADIUS = 4.5
_TICK, _LETTER = 75.0, 8.5
"""Units that a size on the axis needs at least, and that a letter of it takes at most."""
_NOTHING = 1e-15
"""Divergence that float64 cannot tell from none."""
_FAR = 3.0
"""Times the size of the forms beyond which the checkpoint's would press them into an end of the axis."""
_EXACT = "the same function"


@dataclass(frozen=True, slots=True)
class Mark:
    """A form."""

    name: str
    bytes: int
    kl: float | None
    """Mean divergence from float32, in nats per token; None where it computes the same function."""

    @property
    def shown(self) -> bool:
        """Whether it has a place in the plot."""
        return self.bytes > 0 and math.isfinite(self.cost)

    @property
    def cost(self) -> float:
        """The divergence; 0 where there is none."""
        return 0.0 if self.kl is None or self.kl < _NOTHING else self.kl

    @property
    def title(self) -> str:
        """All of it in a line."""
        told = "the same function" if self.kl is None else f"mean KL {self.kl:.1e} nats per token"
        return f"{self.name}: {size(self.bytes)}, {told}"


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where everything lies."""

    x: Scale
    y: Scale
    right: float
    foot: float

    @property
    def none(self) -> float:
        """The height of no divergence at all, which a logarithmic axis has no place for."""
        return self.foot - _WORDS

    def at(self, each: Mark) -> tuple[float, float]:
        return self.x.at(each.bytes), self.y.at(each.cost) if each.cost else self.none


def quality_plot(marks: Sequence[Mark], source: int, *, width: float, height: float, key: str) -> str:
    """The plot; empty where no form has a price. `source` is the size of the checkpoint in bytes, 0 if not known."""
    found = [each for each in marks if each.shown]
    if not any(each.cost for each in found):
        return ""
    best = {each for each in found if not any(_better(other, each) for other in found)}
    height = max(height, _HEAD + len(found) * svg.LINE + _FOOT)
    axes = _axes(found, source, width - _RIGHT, height - _FOOT)
    points = [(*axes.at(each), each.name) for each in found]
    names = beside(points, _room(axes, source, _steps(best, axes), width), _RADIUS)
    if names is None:
        told = svg.in_third((each.name for each in found), width)
        axes = _axes(found, source, width - max(map(svg.width_of, told)) - AWAY - _RIGHT, height - _FOOT)
        points = [(*axes.at(each), name) for each, name in zip(found, told, strict=True)]
        names = in_column(points, axes.right + AWAY, _HEAD, axes.foot)
    return svg.drawing(
        [
            *_grid(axes),
            *_reference(axes, source),
            *_stairs(_steps(best, axes)),
            *names,
            *_points(found, best, axes),
        ],
        width=width,
        height=height,
        key=key,
        title="Size against divergence",
        summary=f"{counted(len(found), 'form')} by file size and mean KL divergence from float32. "
        "The table of forms has the same numbers.",
    )


def nameless(marks: Sequence[Mark]) -> tuple[str, ...]:
    """Forms that the plot has no place for."""
    return tuple(each.name for each in marks if not each.shown)


def _better(one: Mark, other: Mark) -> bool:
    """Whether a form is not worse in anything, and better in something."""
    smaller, closer = one.bytes - other.bytes, one.cost - other.cost
    return smaller <= 0 and closer <= 0 and (smaller < 0 or closer < 0)


def _axes(found: Sequence[Mark], source: int, right: float, foot: float) -> _Axes:
    known = [float(each.bytes) for each in found]
    if min(known) / _FAR <= source <= max(known) * _FAR:
        known.append(float(source))
    most = max(2, min(7, int((right - _LEFT) / _TICK)))
    x = scales.sizes(known, _LEFT + 10, right - 10, most)
    y = scales.decades([each.cost for each in found if each.cost], foot - _BAND, _HEAD)
    return _Axes(x, y, right, foot)


def _steps(best: set[Mark], axes: _Axes) -> list[tuple[float, float]]:
    """Where the line goes down: at the points of what is best for its size."""
    return [axes.at(each) for each in sorted(best, key=lambda each: (each.bytes, each.name))]


def _grid(axes: _Axes) -> Iterator[str]:
    yield svg.words("mean KL divergence from float32, nats per token", 0, 12, kind="axis")
    for value in axes.y.ticks:
        at = axes.y.at(value)
        yield svg.line(_LEFT, at, axes.right, at, "grid")
        yield svg.words(scales.power(value), _LEFT - 8, at + 4, anchor="end", kind="tick")
    yield svg.line(_LEFT, axes.none, axes.right, axes.none, "base")
    yield svg.words("0", _LEFT - 8, axes.none + 4, anchor="end", kind="tick")
    yield svg.words(_EXACT, _LEFT + 4, axes.none + 17, kind="axis")
    for value in axes.x.ticks:
        at = axes.x.at(value)
        yield svg.line(at, axes.none, at, axes.none + 5, "base")
        word = scales.size_word(value)
        middle = min(at, axes.right + _RIGHT - len(word) * _LETTER / 2)
        yield svg.words(word, middle, axes.foot + 12, anchor="middle", kind="tick")
    yield svg.words("file size", axes.right, axes.foot + 32, anchor="end", kind="axis")


def _reference(axes: _Axes, source: int) -> Iterator[str]:
    """How large the checkpoint is; only in words where it is far from the forms."""
    if not source:
        return
    told = f"checkpoint, {size(source)}"
    if source < axes.x.low:
        at, told = _LEFT, f"← {told}"
    elif source > axes.x.high:
        at, told = axes.right, f"{told} →"
    else:
        at = axes.x.at(source)
        yield svg.line(at, _HEAD - 10, at, axes.none, "reference")
    anchor = "end" if at > (_LEFT + axes.right) / 2 else "start"
    yield svg.words(told, at, _HEAD - 16, anchor=anchor, kind="axis")


def _stairs(steps: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The least divergence that each size can buy."""
    path = "".join(f"H{px:.1f}V{py:.1f}" for px, py in steps[1:])
    if path:
        yield svg.element("path", d=f"M{steps[0][0]:.1f} {steps[0][1]:.1f}{path}", class_="frontier")


def _points(found: Sequence[Mark], best: set[Mark], axes: _Axes) -> Iterator[str]:
    for each in sorted(found, key=best.__contains__):
        kind = "exact" if each.kl is None else "best" if each in best else "other"
        shape = "diamond" if each.kl is None else "disc"
        yield svg.mark(shape, *axes.at(each), kind, each.title, _RADIUS)


def _room(axes: _Axes, source: int, steps: Sequence[tuple[float, float]], width: float) -> Field:
    """Where names may go: not on words, and not on lines. They may lie on the pale ones of the grid."""
    room = Field(Box(_LEFT + 2, _HEAD - 8, width - 2, axes.foot - 2))
    room.taken.append(Box(_LEFT, axes.none + 4, _LEFT + 4 + svg.width_of(_EXACT), axes.foot))
    room.cross(_LEFT, axes.none, axes.right, axes.none)
    if axes.x.low <= source <= axes.x.high:
        room.cross(axes.x.at(source), _HEAD, axes.x.at(source), axes.foot)
    for (x1, y1), (x2, y2) in pairwise(steps):
        room.cross(x1, y1, x2, y1)
        room.cross(x2, y1, x2, y2)
    return room
