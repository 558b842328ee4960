"""A directory filled with the files of another one without copying them, where the file system can."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from ckpt2hf.output.disk import explained

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path


def fill_from(old: Path, new: Path, but: Container[str]) -> None:
    """Every file of `old` also in `new`, under the same name, but for the names in `but`, relative to both.

    They are the same files: whoever replaces one of them as a whole, as we do, changes nothing in the other directory.
    Raises OutputError.
    """
    for folder, _, names in os.walk(old):
        at = new / os.path.relpath(folder, old)
        with explained(at):
            at.mkdir(exist_ok=True)
        for name in names:
            source = old / os.path.relpath(folder, old) / name
            if source.relative_to(old).as_posix() not in but:
                _link(source, at / name)


def _link(source: Path, place: Path) -> None:
    """One file, linked or copied; a symbolic link stays one."""
    with explained(place):
        try:
            os.link(source, place, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:  # another file system below, or one without links
            shutil.copy2(source, place, follow_symlinks=False)
