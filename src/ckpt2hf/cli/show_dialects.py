"""The list of dialects."""

from __future__ import annotations

from typing import Any

from ckpt2hf.api import dialects
from ckpt2hf.cli.console import rows


def show_dialects() -> None:
    """One block per dialect: id, title, layouts, source."""
    for known in dialects():
        rows([(known.id, "", "")] if len(known.id) >= 10 else [])  # noqa: PLR2004 - the label column
        rows([(known.id if len(known.id) < 10 else "", known.title, "bold")])  # noqa: PLR2004
        rows(("", f"- {layout.title}", "") for layout in known.layout)
        rows([("", known.source, "dim")])


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
