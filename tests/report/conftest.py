"""Golden cases converted once, and their reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ckpt2hf.api import Level
from converted import golden_converter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.api import Report


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Callable[[str], tuple[Path, Report]]:
    """Gives a golden case's directory, proved on bytes, and its report. Copy the directory before changing it."""
    return golden_converter(tmp_path_factory, repository, Level.BYTES)
