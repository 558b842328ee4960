"""One checkpoint file, whatever its format: its tree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import llmc, pickled, safetensors, sniff, torch_zip
from ckpt2hf.files import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.checkpoints.checkpoint import Inert


@dataclass(frozen=True, slots=True)
class Loaded:
    """The tree of a checkpoint before anybody asked where in it the weights are."""

    tree: Inert
    container: str
    files: tuple[Path, ...]
    notes: dict[str, str] = field(default_factory=dict)
    """The text metadata of a safetensors file."""


def read(path: Path) -> Loaded:
    """The tree of one file. Raises NotFoundError, CheckpointError."""
    file = MappedFile(path)
    kind = sniff.kind(file)
    if kind is sniff.Kind.SAFETENSORS:
        tensors, notes = safetensors.read(file)
        return Loaded(tensors, safetensors.TITLE, (path,), notes)
    if kind is sniff.Kind.ZIP:
        return Loaded(torch_zip.read(file.span), torch_zip.TITLE, (path,))
    if kind is sniff.Kind.LLMC:
        return Loaded(llmc.read(file), llmc.TITLE, (path,))
    tree, title = pickled.read(file)
    return Loaded(tree, title, (path,))


def read_tree(path: Path) -> Inert:
    """What one file holds, as inert data with tensors in it. Raises NotFoundError, CheckpointError."""
    return read(path).tree
