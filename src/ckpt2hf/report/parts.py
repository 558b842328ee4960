"""Parts of reports that several of them have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileReport:
    """A file: its name relative to the source or output directory, its size in bytes, its SHA-256 where known."""

    name: str
    """Relative to the source or output directory."""
    bytes: int
    """Size."""
    sha256: str | None = None
    """Of the whole file; only source files have one, and of those not the remote ones, which are not read whole."""
    etag: str | None = None
    """What the store of a remote source file calls the version that was read."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One thing that was verified."""

    name: str
    """What was looked at."""
    passed: bool
    """Whether it is as promised."""
    summary: str
    """One sentence."""
    numbers: dict[str, Any]
    """What was measured, by name."""
