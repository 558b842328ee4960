"""`SHA256SUMS`: the digest of every other file of a directory, as `sha256sum -c` of GNU coreutils reads it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ckpt2hf.errors import BrokenPromiseError
from ckpt2hf.output.disk import explained
from ckpt2hf.sources import sha256_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUMS = "SHA256SUMS"
"""Its name."""
# Backslashes and line ends would have to be escaped, and no file of ours has them in its name.
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^\\\r\n]+)")
_LARGEST = 1 << 24


def summed(directory: Path) -> dict[str, Path]:
    """The files that have a digest, by name relative to the directory, sorted; hidden ones belong to other tools."""
    names = {path.relative_to(directory): path for path in directory.rglob("*") if path.is_file()}
    seen = {name.as_posix(): path for name, path in names.items() if not any(p.startswith(".") for p in name.parts)}
    return {name: seen[name] for name in sorted(seen) if name != SUMS}


def write_sums(directory: Path, known: Mapping[Path, str]) -> None:
    """Writes the digests of all files of a directory that is complete; what is not known is read.

    Raises OutputError.
    """
    digests = {name: known.get(path) or sha256_of(path) for name, path in summed(directory).items()}
    text = sums_text(digests)
    with explained(directory / SUMS, len(text)):
        (directory / SUMS).write_text(text, encoding="utf-8")


def sums_text(digests: Mapping[str, str]) -> str:
    """The file, sorted by name. Raises BrokenPromiseError for a name that it has no place for."""
    lines = [f"{digest}  {name}" for name, digest in sorted(digests.items())]
    if wrong := [line for line in lines if not _LINE.fullmatch(line)]:
        raise BrokenPromiseError(f"{SUMS} has no place for {wrong[0]!r}")
    return "".join(f"{line}\n" for line in lines)


def read_sums(directory: Path) -> dict[str, str] | None:
    """The digests by name; None where there is no such file. Raises ValueError, which says what is wrong with it."""
    path = directory / SUMS
    if not path.exists():
        return None
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("it is too large for what it should be")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(str(error)) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None or not _inside(match[2]) or match[2] in found:
            raise ValueError(f"line {number} is not a digest, two spaces and the name of a file in the directory")
        found[match[2]] = match[1]
    return found


def _inside(name: str) -> bool:
    """Whether a name means a file below the directory."""
    return not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))
