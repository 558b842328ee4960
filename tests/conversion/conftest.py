"""Golden checkpoints converted once a session, and the flags each needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.api import Level
from converted import golden_converter
from support import EVERY_FLAGS

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
    return golden_converter(tmp_path_factory, repository, Level.LOGITS)
