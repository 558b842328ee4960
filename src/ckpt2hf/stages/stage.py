"""What a stage is: a description, so that all of them can be listed without importing anything they need."""

from __future__ import annotations

import enum
import re
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
    """What it is called, below the folder; `{name}` stands for the model's name and size."""
    base: str | None = None
    """The stage whose file it is made from; None for one that is made from the directory itself."""
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
    largest: float | None = None
    """The largest number that its file can hold; None for the range of float32."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What its maker is told."""
    notes: tuple[str, ...] = ()
    """What a person should know about its price."""

    def path(self, name: str) -> str:
        """The file of a model of this name, from the directory."""
        return f"{self.family}/{self.file.format(name=name)}"

    def is_path(self, path: str) -> bool:
        """Whether some model's file is there, or the first of its parts."""
        before, _, after = f"{self.family}/{self.file}".partition("{name}")
        return bool(re.fullmatch(f"{re.escape(before)}{'[^/]+' if after else ''}{_parted(after)}", path))


def _parted(end: str) -> str:
    """The end of a file's name as a regular expression, with or without the number of its part."""
    stem, dot, suffix = end.rpartition(".")
    return f"{re.escape(stem)}(?:-00001-of-[0-9]{{5}})?{re.escape(dot + suffix)}" if dot else ""
