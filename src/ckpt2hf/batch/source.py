"""A checkpoint that was found: what is opened, and which files belong to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.batch.listing import Kind, listing, size_of
from ckpt2hf.batch.naming import natural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.checkpoints import Found
    from ckpt2hf.run.patterns import Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A checkpoint that was found."""

    path: Path
    """What is opened."""
    files: tuple[Path, ...]
    """Its own files, and the settings of the training code beside them, which are read as well."""
    nbytes: int
    """Size of its own files."""
    parts: Parts
    """The path from the root of the file system on."""
    folder: Path
    """Where its settings would lie."""
    whole: bool
    """Whether a directory is opened."""
    search: int
    """Which search found it."""


def source_of(search: int, parts: Parts, folder: Path, found: Found, side: list[Path]) -> Source:
    """What was found in a directory, with all its files; `side` are the settings beside it."""
    own = [folder / name for name in found.files]
    own += [file for name in found.folders for file in _below(folder / name)]
    return Source(
        path=folder / found.source if found.source else folder,
        files=(*own, *side),
        nbytes=sum(size_of(file) for file in own),
        parts=(*parts, found.source) if found.source else parts,
        folder=folder,
        whole=not found.source,
        search=search,
    )


def _below(folder: Path) -> Iterator[Path]:
    """All files below a directory, links to directories left out."""
    try:
        entries = sorted(listing(folder), key=lambda entry: natural((entry.name,)))
    except OSError:
        return  # opening the checkpoint says so
    for entry in entries:
        if entry.kind is Kind.FILE:
            yield folder / entry.name
        elif entry.kind is Kind.FOLDER and not entry.link:
            yield from _below(folder / entry.name)
