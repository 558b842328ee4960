"""How far the keys and values of each layer, and at the end the logits, lie from float32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.report.html.plots import scales, svg
from ckpt2hf.report.html.plots.labels import spread
from ckpt2hf.report.html.plots.names import AWAY
from ckpt2hf.report.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.report.html.plots.scales import Scale

_HEAD, _FOOT, _LEFT = 44.0, 40.0, 64.0
_GAP = 34.0
"""Units between keys, values and logits."""
_STRIP = 24.0
"""Units for the logits."""
_NUMBERED = 22.0
"""Units that the number of a layer takes."""
_CROWDED = 9.0
"""Units between two layers below which only the ends of a line are marked."""
_HIDDEN = 2.0
"""Units by which a line has to lie beside another one to be seen."""


@dataclass(frozen=True, slots=True)
class Series:
    """A form: relative errors against float32."""

    name: str
    keys: tuple[float, ...]
    values: tuple[float, ...]
    logits: float

    @property
    def numbers(self) -> tuple[float, ...]:
        """All of them."""
        return (*self.keys, *self.values, self.logits)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A part of the plot: points from left to right on the common axis."""

    title: str
    left: float
    right: float
    y: Scale
    layers: int

    def x(self, k: int) -> float:
        return (self.left + self.right) / 2 if self.layers == 1 else self.left + k * self.step

    @property
    def step(self) -> float:
        return (self.right - self.left) / max(1, self.layers - 1)


def layers_plot(found: Sequence[Series], *, width: float, stacked: bool, key: str) -> str:
    """The plot: keys, values and logits side by side, or one below the other. Empty where nothing can be drawn."""
    series = [each for each in found if _drawable(each)]
    if not series:
        return ""
    names = svg.in_third((each.name for each in series), width)
    needed = (len(series) - 1) * svg.LINE + 24
    height = max(250.0 if stacked else 300.0, needed)
    y_range = [value for each in series for value in each.numbers if value > 0]
    layers = max(len(each.keys) for each in series)
    right = width - max(map(svg.width_of, names)) - AWAY - 12
    parts: list[str] = []
    total = 0.0
    for row, titles in enumerate((("keys",), ("values", "logits")) if stacked else (("keys", "values", "logits"),)):
        top = row * (height + _HEAD + _FOOT) + _HEAD
        y = scales.decades(y_range, top + height, top)
        parts += _row(series, names, titles, y, right, layers, first=row == 0)
        total = top + height + _FOOT
    return svg.drawing(
        parts,
        width=width,
        height=total,
        key=key,
        title="Error layer by layer",
        summary=f"Relative errors of keys, values and logits of {counted(len(series), 'form')} in "
        f"{counted(layers, 'layer')}. The tables below have the same numbers.",
    )


def _drawable(each: Series) -> bool:
    """A logarithmic axis has no place for zero, and none for what is no number."""
    return bool(each.keys) and all(math.isfinite(value) for value in each.numbers) and any(each.numbers)


def _row(
    series: Sequence[Series],
    names: Sequence[str],
    titles: Sequence[str],
    y: Scale,
    right: float,
    layers: int,
    *,
    first: bool,
) -> Iterator[str]:
    wide = [title for title in titles if title != "logits"]
    strip = _STRIP + _GAP if "logits" in titles else 0.0
    each_width = (right - _LEFT - strip - _GAP * (len(wide) - 1)) / len(wide)
    panels = [
        _Panel(title, _LEFT + k * (each_width + _GAP) + 8, _LEFT + k * (each_width + _GAP) + each_width - 8, y, layers)
        for k, title in enumerate(wide)
    ]
    if "logits" in titles:
        panels.append(_Panel("logits", right - _STRIP, right, y, 1))
    yield from _grid(panels, y, first=first)
    drawn, which = _drawn(series, y)
    for k, form in enumerate(drawn):
        yield svg.group(_lines(form, panels, k), class_=f"s{k % svg.COLOURS}")
    yield from _ends(series, names, which, panels[-1], right)


def _drawn(series: Sequence[Series], y: Scale) -> tuple[list[Series], list[int]]:
    """The lines that can be told apart, and for each form which of them is its own."""
    drawn: list[Series] = []
    which = []
    for form in series:
        own = next((k for k, other in enumerate(drawn) if _alike(form, other, y)), len(drawn))
        if own == len(drawn):
            drawn.append(form)
        which.append(own)
    return drawn, which


def _alike(form: Series, other: Series, y: Scale) -> bool:
    """Whether one line would hide the other."""
    if len(form.keys) != len(other.keys) or len(form.values) != len(other.values):
        return False
    both = zip(form.numbers, other.numbers, strict=True)
    return all(one == two or (one > 0 < two and abs(y.at(one) - y.at(two)) < _HIDDEN) for one, two in both)


def _values(form: Series, panel: _Panel) -> tuple[float, ...]:
    return {"keys": form.keys, "values": form.values, "logits": (form.logits,)}[panel.title]


def _grid(panels: Sequence[_Panel], y: Scale, *, first: bool) -> Iterator[str]:
    top = min(y.begin, y.end)
    if first:
        yield svg.words("relative error against float32", 0, top - 32, kind="axis")
    for value in y.ticks:
        yield svg.words(scales.percent(value), _LEFT - 8, y.at(value) + 4, anchor="end", kind="tick")
    foot = max(y.begin, y.end)
    for panel in panels:
        strip = panel.title == "logits"
        begin, end = (panel.left, panel.right) if strip else (panel.left - 8, panel.right + 8)
        for value in y.ticks:
            yield svg.line(begin, y.at(value), end, y.at(value), "grid")
        middle = (begin + end) / 2
        yield svg.words(
            panel.title, middle if strip else begin, top - 12, anchor="middle" if strip else "start", kind="head"
        )
        if not strip:
            yield from _numbers(panel, foot)
            yield svg.words("layer", end, foot + 34, anchor="end", kind="axis")


def _numbers(panel: _Panel, foot: float) -> Iterator[str]:
    """The layers, as many as have room, counted as the tensors' names do."""
    every = max(1, math.ceil(_NUMBERED / panel.step)) if panel.layers > 1 else 1
    for k in range(0, panel.layers, every):
        yield svg.words(str(k), panel.x(k), foot + 18, anchor="middle", kind="tick")


def _lines(form: Series, panels: Sequence[_Panel], k: int) -> Iterator[str]:
    """A line in each panel. Where a layer has no error at all, the line is interrupted."""
    shape = svg.SHAPES[k % len(svg.SHAPES)]
    for panel in panels:
        told = _values(form, panel)
        points = [(panel.x(n), panel.y.at(value), n, value) for n, value in enumerate(told) if value > 0]
        path, before = "", -2
        for px, py, n, _ in points:
            path += f"{'L' if n == before + 1 else 'M'}{px:.1f} {py:.1f}"
            before = n
        if len(points) > 1:
            yield svg.element("path", d=path, class_="line")
        crowded = panel.layers > 1 and panel.step < _CROWDED
        for px, py, n, value in points:
            if not crowded or n in {points[0][2], points[-1][2]}:
                where = panel.title if panel.title == "logits" else f"{panel.title} of layer {n}"
                yield svg.mark(shape, px, py, "dot", f"{form.name}, {where}: {value:.2%}", 3.2)


def _ends(
    series: Sequence[Series], names: Sequence[str], which: Sequence[int], panel: _Panel, right: float
) -> Iterator[str]:
    """The name of each form, right of the end of its line and as near to it as the others allow."""
    last = [next((v for v in reversed(_values(each, panel)) if v > 0), panel.y.low) for each in series]
    heights = [panel.y.at(value) for value in last]
    low, high = sorted((panel.y.begin, panel.y.end))
    ordered = sorted(range(len(series)), key=lambda k: (heights[k], which[k], names[k]))
    placed = spread([heights[k] for k in ordered], svg.LINE, low, high)
    begin, x = panel.right + (6 if panel.title == "logits" else 12), right + AWAY
    for k, at in zip(ordered, placed, strict=True):
        shape, colour = svg.SHAPES[which[k] % len(svg.SHAPES)], f"s{which[k] % svg.COLOURS}"
        yield svg.line(begin, heights[k], x - 10, at, "leader")
        yield svg.group([svg.mark(shape, x - 4, at, "dot", "", 3.2)], class_=colour)
        yield svg.label(names[k], x + 5, at + 4)
