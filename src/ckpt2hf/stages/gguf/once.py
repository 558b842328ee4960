"""What several forms need is computed by whoever comes first; the others wait for it."""

from __future__ import annotations

import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def once(kept: Path, make: Callable[[Path], None]) -> None:
    """See to it that a file is there, whole: `make` writes it under another name, in one of the processes."""
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            begun = kept.with_name(f"begun-{kept.name}")
            make(begun)
            begun.replace(kept)
