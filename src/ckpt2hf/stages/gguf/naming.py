"""What GGUF files are called: `BaseName-SizeLabel-Version-Encoding.gguf`.

Source: ggml docs/gguf.md, "GGUF Naming Convention"; gguf 0.19.0, `size_label`.
"""

from __future__ import annotations

import re

VERSION = "v1.0"
_OTHER = re.compile(r"[^A-Za-z0-9]+")


def base_name(title: str) -> str:
    """The first part: letters and digits of a title, its other signs each a hyphen."""
    return _OTHER.sub("-", title).strip("-") or "model"


def size_label(weights: int) -> str:
    """The second part, such as `134M`: numbers in a model in the unit that leaves few digits, two at least."""
    for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if weights >= unit:
            return f"{_short(weights / unit)}{letter}"
    return f"{_short(weights / 1000)}K"


def _short(number: float) -> str:
    return f"{number:.{max(2 - len(str(round(number)).lstrip('0')), 0)}f}"
