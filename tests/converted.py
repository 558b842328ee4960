"""Golden cases as Hugging Face directories, each made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.api import Level, Request, Writing, convert
from support import EVERY_FLAGS, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from ckpt2hf.api import Report


def golden_converter(
    folders: pytest.TempPathFactory, repository: Path, level: Level
) -> Callable[[str], tuple[Path, Report]]:
    """What gives a golden case's directory, proved on this level, and its report; it remembers them."""
    done: dict[str, tuple[Path, Report]] = {}

    def make(name: str) -> tuple[Path, Report]:
        if name not in done:
            source = repository / "tests" / "golden" / name / SOURCES.get(name, "checkpoint.pt")
            out = folders.mktemp("converted") / name
            done[name] = (out, convert(Request(source=source, **EVERY_FLAGS[name]), Writing(out=out, level=level)))
        return done[name]

    return make
