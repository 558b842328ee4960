"""Golden checkpoints converted once a session, and the flags each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Level, Request, Writing, convert
from support import EVERY_FLAGS, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.api import Report


@pytest.fixture(scope="session")
def flags() -> dict[str, dict[str, Any]]:
    """What the user says about each golden checkpoint."""
    return EVERY_FLAGS


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Callable[[str], tuple[Path, Report]]:
    """A golden case's proved directory and its report, made once."""
    done: dict[str, tuple[Path, Report]] = {}

    def make(name: str) -> tuple[Path, Report]:
        if name not in done:
            source = repository / "tests" / "golden" / name / SOURCES.get(name, "checkpoint.pt")
            out = tmp_path_factory.mktemp("converted") / name
            report = convert(Request(source=source, **EVERY_FLAGS[name]), Writing(out=out, level=Level.LOGITS))
            done[name] = (out, report)
        return done[name]

    return make
