"""The list of dialects."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from ckpt2hf.api import dialects
from ckpt2hf.cli.console import OUT, room, rows, wrapped


def show_dialects() -> None:
    """One block per dialect: id and title, layouts, source."""
    for known in dialects():
        for line in wrapped(f"{known.id}  {known.title}", room(taken=0)):
            OUT.print(Text(line, "bold"))
        rows(("  layout", layout.title, "") for layout in known.layout)
        rows([("  source", known.source, "dim")])


def dialects_json() -> list[dict[str, Any]]:
    """The same as data."""
    return [
        {
            "id": known.id,
            "title": known.title,
            "source": known.source,
            "target": known.target,
            "layouts": [layout.title for layout in known.layout],
        }
        for known in dialects()
    ]
