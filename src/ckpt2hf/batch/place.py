"""Where one job's result goes: whether something else is there, and whether that is what an error is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def is_free(out: Path) -> bool:
    """Whether nothing would be replaced; an empty directory is nothing."""
    try:
        return not any(out.iterdir())
    except FileNotFoundError:
        return not out.is_symlink()
    except OSError:
        return False


def is_about(error: Exception, out: Path) -> bool:
    """Whether an error says that the result must not go there, which is no fact about the checkpoint."""
    return isinstance(error, UsageError) and error.where == str(out.parent.resolve() / out.name)
