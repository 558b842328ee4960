"""A JSON file as people like to read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckpt2hf.output.disk import explained

if TYPE_CHECKING:
    from pathlib import Path


def write_json(path: Path, value: object) -> None:
    """A UTF-8 file: keys in insertion order, two spaces of indentation, a newline at the end.

    Raises ValueError for NaN and infinity, which JSON cannot say, and OutputError when the disk refuses.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with explained(path, len(text)):
        path.write_text(text, encoding="utf-8")
