"""Elements of SVG, and how wide text in them will be at most.

Labels are placed before any browser is there, and only a browser knows its fonts; monospaced ones differ little.
"""

from __future__ import annotations

import math
import unicodedata
from typing import TYPE_CHECKING

from ckpt2hf.report.html import escaping
from ckpt2hf.report.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

LINE = 15.0
"""Units from one line of text to the next."""
ASCENT, DESCENT = 11.0, 4.0
"""Units that a line of text needs above and below its base line."""
_EM = 12.0
"""Units of the font's size; the style sheet has the same."""
_ADVANCE = 0.62
"""Widest advance of a letter in the monospaced fonts of the style sheet, in em; the others are narrower."""
_LONGEST = 24
"""Letters of a label; its title has all of them."""
_CORNERS: dict[str, tuple[tuple[float, float], ...]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "cross": ((-1, -1), (1, 1), (0, 0), (1, -1), (-1, 1), (0, 0)),
}
SHAPES = ("disc", "square", "triangle", "diamond", "ring", "cross")
"""Marks that are told apart without colour."""
COLOURS = 8
"""Colours of the style sheet: `s0` to `s7`."""


def element(tag: str, content: str = "", /, **attributes: str | float) -> str:
    """An element around content that is SVG already. `class_` is `class`, `text_anchor` is `text-anchor`."""
    told = "".join(f' {_attribute(name)}="{_value(value)}"' for name, value in attributes.items() if value != "")
    return f"<{tag}{told}>{content}</{tag}>"


def group(parts: Iterable[str], **attributes: str | float) -> str:
    """Some elements together."""
    return element("g", "".join(parts), **attributes)


def label(text: str, x: float, y: float, *, anchor: str = "start") -> str:
    """A name in the monospaced font, on a base line. What is not ASCII gets the width that was reckoned with."""
    shown = shortened(text)
    fitted: dict[str, str | float] = (
        {} if shown.isascii() else {"textLength": width_of(shown), "lengthAdjust": "spacingAndGlyphs"}
    )
    return element("text", escaping.text(shown), x=x, y=y, text_anchor=anchor, class_="name", **fitted)


def words(text: str, x: float, y: float, *, anchor: str = "start", kind: str = "") -> str:
    """Our own words, in the page's font."""
    return element("text", escaping.text(text), x=x, y=y, text_anchor=anchor, class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def shortened(text: str, longest: int = _LONGEST) -> str:
    """A name as a label shows it."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def in_third(names: Iterable[str], width: float) -> list[str]:
    """The names, short enough that a column of them takes about a third of the width."""
    longest = min(_LONGEST, int(width / 3 / (_ADVANCE * _EM)))
    return [shortened(name, longest) for name in names]


def width_of(text: str) -> float:
    """Units that a label takes at most, once it is shortened."""
    wide = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
    return wide * _ADVANCE * _EM


def mark(shape: str, x: float, y: float, kind: str, title: str = "", size: float = 4.5) -> str:
    """A point of a plot, with what a pointer that rests on it is told."""
    told = element("title", escaping.text(title)) if title else ""
    if shape in {"disc", "ring"}:
        return element("circle", told, cx=x, cy=y, r=size, class_=f"{kind} {shape}")
    path = " ".join(f"{_value(x + size * dx)},{_value(y + size * dy)}" for dx, dy in _CORNERS[shape])
    return element("polygon", told, points=path, class_=f"{kind} {shape}")


def drawing(parts: Iterable[str], *, width: float, height: float, key: str, title: str, summary: str) -> str:
    """The whole plot, as an image with a name and a description."""
    head = element("title", escaping.text(title), id=f"{key}-t") + element(
        "desc", escaping.text(summary), id=f"{key}-d"
    )
    return element(
        "svg",
        head + "".join(parts),
        viewBox=f"0 0 {_value(width)} {_value(height)}",
        class_=f"plot {key.rpartition('-')[2]}",
        role="img",
        aria_labelledby=f"{key}-t {key}-d",
    )


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        raise ValueError(f"{value} has no place in a plot")
    return f"{value:.1f}".removesuffix(".0")
