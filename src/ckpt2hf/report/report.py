"""The one report of a conversion: a frozen tree, written as `conversion.json`, shown by the command line."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMA = 1
"""Version of the tree; it grows with every change that a reader could trip over."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """A file: its name relative to the source or output directory, its size in bytes, its SHA-256 where known."""

    name: str
    bytes: int
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class SourceReport:
    """Where the weights came from."""

    path: str
    container: str
    weights_key: str
    prefixes: tuple[str, ...]
    files: tuple[FileReport, ...]
    side_files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DialectReport:
    """What the checkpoint was read as, and why."""

    id: str
    layout: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class FactReport:
    """One field of the spec and where it came from."""

    field: str
    value: Any
    origin: str
    where: str


@dataclass(frozen=True, slots=True)
class TensorReport:
    """One written tensor and how it came about."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    sources: tuple[str, ...]
    how: str


@dataclass(frozen=True, slots=True)
class LeftOutReport:
    """A source tensor that was not written, and the proof that nothing is lost."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class RewriteReport:
    """An identity that was applied."""

    id: str
    why: str
    exactness: str


@dataclass(frozen=True, slots=True)
class FindingReport:
    """Something suspicious about the weights."""

    severity: str
    code: str
    message: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One thing that was verified."""

    name: str
    passed: bool
    summary: str
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class VerdictReport:
    """The outcome of verification."""

    level: str
    proved: bool
    checks: tuple[CheckReport, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything about one conversion."""

    schema: int
    created: str
    """UTC, ISO 8601."""
    versions: dict[str, str]
    source: SourceReport
    dialect: DialectReport
    facts: tuple[FactReport, ...]
    spec: dict[str, Any]
    target: str
    rewrites: tuple[RewriteReport, ...]
    exactness: str
    dtype: str | None
    tensors: tuple[TensorReport, ...]
    left_out: tuple[LeftOutReport, ...]
    notes: tuple[str, ...]
    health: tuple[FindingReport, ...]
    output: str
    formats: tuple[str, ...]
    files: tuple[FileReport, ...]
    verdict: VerdictReport
    options: dict[str, Any]
    """What has to be said again to verify this directory against its source."""
    seconds: dict[str, float]
    peak_memory_bytes: int

    def as_json(self) -> dict[str, Any]:
        """The tree as plain JSON values."""
        tree: dict[str, Any] = plain_tree(self)
        return tree


def plain_tree(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any tree of ours, one line a kind of node
    """A tree of dataclasses, enums, paths and containers as plain JSON values."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_tree(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain_tree(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_tree(item) for item in value]
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN
        return str(value)  # JSON has no word for it
    return value
