"""Pieces of HTML that the sections of a model's page are made of."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from ckpt2hf.remote import shown
from ckpt2hf.report.html import escaping

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt2hf.report.parts import CheckReport

_DIGITS = 4
"""Digits of a measured number that are shown; its `value` has all of them."""


def safe(value: str) -> str:
    """Text from anywhere as HTML, without what may be secret in URLs."""
    return escaping.text(shown(value) if "://" in value else value)


def code(value: str) -> str:
    """A name, a value or a command as HTML."""
    return f"<code>{safe(value)}</code>"


def number(value: float, words: str = "") -> str:
    """A number as people read it; the element has the value itself, as conversion.json does."""
    told = words or (f"{value:,}" if isinstance(value, int) else f"{value:.{_DIGITS}g}")
    return f'<data value="{json.dumps(value) if math.isfinite(value) else value}">{told}</data>'


def value(found: Any) -> str:  # noqa: ANN401 - any JSON value
    """One of the values that a check or a setting has."""
    if isinstance(found, bool):
        return "yes" if found else "no"
    if isinstance(found, int | float):
        return number(found)
    if isinstance(found, str):
        return safe(found)
    return code(json.dumps(found, ensure_ascii=False))


def pairs(found: Iterable[tuple[str, str]], kind: str) -> str:
    """Names and what belongs to them; both are HTML already."""
    told = "".join(f"<div><dt>{name}</dt><dd>{what}</dd></div>" for name, what in found)
    return f'<dl class="{kind}">{told}</dl>' if told else ""


def numbers(found: dict[str, Any]) -> str:
    """What was measured, by name."""
    return pairs(((safe(name.replace("_", " ")), value(each)) for name, each in found.items()), "numbers")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "", *, label: str = "") -> str:
    """A table of cells that are HTML already. On a narrow page each row is a card, and its cells name themselves."""
    head = "".join(f'<th scope=col role=columnheader class="c{k}">{name}</th>' for k, name in enumerate(heads))
    body = "".join(_row(heads, cells) for cells in rows)
    named = f' aria-label="{escaping.text(label)}"' if label else ""
    return (
        f'<table role=table class="cards {kind}"{named}><thead role=rowgroup><tr role=row>{head}</tr></thead>'
        f"<tbody role=rowgroup>{body}</tbody></table>"
    )


def checks(found: Iterable[CheckReport], *, label: str) -> str:
    """What was looked at, whether it held, and the numbers."""
    rows = ((_check_name(each), safe(each.summary), numbers(each.numbers)) for each in found)
    return table(("Check", "Result", "Numbers"), rows, "checks", label=label)


def section(title: str, key: str, *parts: str) -> str:
    """A part of the page with a heading; nothing where it would be empty."""
    body = "\n".join(each for each in parts if each)
    return (
        f'<section id="{key}" aria-labelledby="{key}-h"><h2 id="{key}-h">{title}</h2>\n{body}\n</section>'
        if body
        else ""
    )


def folded(summary: str, body: str) -> str:
    """What opens when somebody asks for it."""
    return f"<details><summary>{summary}</summary>\n{body}\n</details>"


def bullets(items: Iterable[str], kind: str = "") -> str:
    """A list of items that are HTML already."""
    told = "".join(f"<li>{item}</li>" for item in items)
    return f'<ul class="bullets {kind}">{told}</ul>' if told else ""


def block(lines: Iterable[str]) -> str:
    """Lines that somebody may copy."""
    return f"<pre tabindex=0><code>{escaping.lines(chr(10).join(lines))}</code></pre>"


def _check_name(each: CheckReport) -> str:
    status, sign, word = ("proved", "✓", "held") if each.passed else ("failed", "✕", "failed")
    return f'<span class="{status}"><i role=img aria-label="{word}">{sign}</i> {safe(each.name)}</span>'


def _row(heads: Sequence[str], cells: Sequence[str]) -> str:
    first, *others = cells
    told = "".join(
        f'<td role=cell class="c{k}" data-label="{head}">{cell}</td>' if cell else f"<td role=cell class=c{k}></td>"
        for k, (head, cell) in enumerate(zip(heads[1:], others, strict=True), 1)
    )
    return f"<tr role=row><th scope=row role=rowheader class=c0>{first}</th>{told}</tr>"
