"""A dialect file of the user's own: how it is named, and what is in it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.remote import path_or_url

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".toml"
MAX_BYTES = 1 << 20
"""Of a dialect file; the largest built-in one has a hundredth of it."""


@dataclass(frozen=True, slots=True)
class DialectFile:
    """A user's own dialect file, as it was read."""

    path: Path
    """As the user gave it."""
    sha256: str
    text: str


def own_file(named: str | Path) -> Path | None:
    """The user's own dialect file that is meant; None for the id of a built-in dialect."""
    if isinstance(named, str):
        return path_or_url(named) if "/" in named or named.endswith(SUFFIX) else None
    return named


def read_file(path: Path) -> DialectFile:
    """A user's own dialect file, not looked into. Raises NotFoundError, UsageError."""
    try:
        if path.exists() and not path.is_file():
            what = "a directory" if path.is_dir() else "no file"
            remedies = ["name the file itself, such as ./mine.toml"]
            raise UsageError(f"the dialect {path} is {what}", where=str(path), remedies=remedies)
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        remedies = ["ckpt2hf dialects   (those that are built in)"]
        raise NotFoundError(
            f"cannot open the dialect file {path}", details=[str(error)], where=str(path), remedies=remedies
        ) from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{path.name} is larger than {MAX_BYTES} bytes, so it is no dialect file", where=str(path))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        told = f"{path.name}:{line}: the byte {data[error.start]:#04x} is not UTF-8"
        raise UsageError(told, where=str(path), remedies=["save the file as UTF-8"]) from error
    return DialectFile(path, hashlib.sha256(data).hexdigest(), text)
