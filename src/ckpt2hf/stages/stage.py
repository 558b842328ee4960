"""What a stage is: a description, so that all of them can be listed without importing anything they need."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class Command(enum.Enum):
    """The command that makes a form."""

    EXPORT = "export"
    QUANTIZE = "quantize"
    CONVERT = "convert"
    """Makes every form, right after the directory itself."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What making and measuring a form takes, from runs of models of 0.6, 134 and 368 million weights."""

    libraries: int
    """Bytes, whatever the model."""
    copies: float
    """Times the float32 weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One other form of a model."""

    id: str
    """As after `--to`."""
    title: str
    """What it is, in a few words."""
    command: Command
    family: str
    """The package beside this module that makes and examines it, and the folder of a directory in which it lies."""
    maker: str
    """The module of that package whose `make` writes the file."""
    file: str
    """What it is called, below the folder. Source: huggingface/transformers.js src/utils/dtypes.js."""
    packages: tuple[str, ...]
    """What has to be installed, by the names of modules."""
    targets: tuple[str, ...]
    """Ids of the targets it can be made of."""
    bits: int
    """Of each weight of a matrix that multiplies, scales apart."""
    memory: Memory
    """What its process takes."""
    exact: bool = False
    """Whether it has to compute the same function; else what it costs is measured."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What its maker is told."""
    notes: tuple[str, ...] = ()
    """What a person should know about its price."""

    @property
    def path(self) -> str:
        """The file, from the directory."""
        return f"{self.family}/{self.file}"
