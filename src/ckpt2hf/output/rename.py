"""One directory, or one file, in the place of another, in one step where the system can do that."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ckpt2hf.output import linux

if TYPE_CHECKING:
    from pathlib import Path


def replace_directory(new: Path, old: Path) -> Path:
    """Puts `new` where `old` is; gives the path under which the old one now is, for the caller to delete.

    Where the system can, the two change names in one step, so `old` names a complete directory at every moment.
    Elsewhere the old one steps aside first, and steps back if the new one cannot take its place. Raises OSError.
    """
    if linux.exchange(new, old):
        return new
    aside = old.with_name(f"{old.name}.replaced-{secrets.token_hex(4)}")
    old.rename(aside)
    try:
        new.rename(old)
    except BaseException:
        aside.rename(old)
        raise
    return aside
