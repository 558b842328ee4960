"""A weight file before it is written: its size, where each tensor goes, and the bytes around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Frame: TypeAlias = Callable[[Mapping[str, int]], Iterable[tuple[int, bytes]]]
"""From the CRC-32 of every tensor, by name, to the `(offset, bytes)` that are not tensor data."""


@dataclass(frozen=True, slots=True)
class WeightFile:
    """Everything about a file except the elements, known from the metadata alone."""

    path: Path
    size: int
    """Bytes of the whole file."""
    offsets: Mapping[str, int]
    """Where the first byte of each tensor goes."""
    frame: Frame
    """What to write besides the tensors. It may need their checksums, so it comes last."""
