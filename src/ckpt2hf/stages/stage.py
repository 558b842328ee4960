"""What a stage is: a description, so that all of them can be listed without importing anything they need."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "onnx"
"""The folder of a directory in which ONNX files lie. Source: huggingface/transformers.js docs, `subfolder`."""


class Command(enum.Enum):
    """The command that makes a form."""

    EXPORT = "export"
    QUANTIZE = "quantize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One other form of a model."""

    id: str
    """As after `--to`."""
    title: str
    """What it is, in a few words."""
    command: Command
    maker: str
    """The module beside this one whose `make` writes the file."""
    file: str
    """What it is called, below the folder. Source: huggingface/transformers.js src/utils/dtypes.js."""
    packages: tuple[str, ...]
    """What has to be installed, by the names of modules."""
    targets: tuple[str, ...]
    """Ids of the targets it can be made of."""
    bits: int
    """Of each weight of a matrix that multiplies, scales apart."""
    exact: bool = False
    """Whether it has to compute the same function; else what it costs is measured."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What its maker is told."""
    notes: tuple[str, ...] = ()
    """What a person should know about its price."""

    @property
    def path(self) -> str:
        """The file, from the directory."""
        return f"{FOLDER}/{self.file}"
