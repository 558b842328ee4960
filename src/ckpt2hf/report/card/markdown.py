"""Text of unknown origin as Markdown that shows it and does nothing else: no link, no HTML, no second column.

Names, titles and notes come from checkpoints and dialect files, so from anybody.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt2hf.remote import shown
from ckpt2hf.report.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LONGEST = 500
"""Characters of one value; the rest is in conversion.json."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;", "|": "&#124;", "`": "&#96;", "$": "&#36;",
             "@": "&#64;"}  # fmt: skip
# An underscore inside a word begins no emphasis. A colon or a dot that makes a URL, or what some readers take for one
# (`self.sa`, `model.py`), is spelled as a number.
_SPECIAL = re.compile(r"[&<>\\|`$@*\[\]~#]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=\w)\.(?=[^\W\d_]{2})|(?<=[wW])\.")
_START = re.compile(r"^(?:([-+=:])|(\d{1,9})([.)]))")
_TICKS = re.compile("`+")


def one_line(text: str) -> str:
    """The text, cut to a length people read, without secrets of URLs and with everything visible."""
    plain = visible(shown(text) if "://" in text else text).strip()
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


def prose(text: str) -> str:
    """A sentence or part of one."""
    escaped = _SPECIAL.sub(_escaped, one_line(text))
    return _START.sub(lambda found: f"{found[2] or ''}\\{found[1] or found[3]}", escaped)


def code(text: str) -> str:
    """A name or a value, in a code span; also good in a table."""
    plain = one_line(text)
    if not plain or "|" in plain:  # readers of tables do not agree on a bar in a code span
        return prose(plain) or "(empty)"
    ticks = "`" * (max(map(len, _TICKS.findall(plain)), default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") else ""
    return f"{ticks}{pad}{plain}{pad}{ticks}"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def bullets(items: Iterable[str]) -> str:
    """A list of items that are Markdown already."""
    return "".join(f"- {item}\n" for item in items)


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    if sign in ":.":
        return f"&#{ord(sign)};"
    return _ENTITIES.get(sign, f"\\{sign}")
