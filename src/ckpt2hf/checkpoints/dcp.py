"""Directories that torch.distributed.checkpoint saved: an index, and files in which every rank left its boxes.

What belongs to an optimizer is not even looked at. Everything else keeps its place in the tree that was saved, so that
weights are found as in any other checkpoint, whether they lie under `model` or, as torchtitan leaves them, at the top
between other entries.
Source: pytorch/pytorch torch/distributed/checkpoint/filesystem.py (_write_item, FileSystemReader.read_data), 2.13: each
item is a file of torch.save, one behind the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import dcp_index, torch_zip
from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.cursor import Budget
from ckpt2hf.checkpoints.joined import JoinedRef, Part
from ckpt2hf.checkpoints.single import Loaded
from ckpt2hf.checkpoints.torch_objects import dtype_or_none
from ckpt2hf.checkpoints.values import shown, unsupported
from ckpt2hf.checkpoints.weights import is_optimizer
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import MappedFile
from ckpt2hf.tensors import Meta, Stored

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ckpt2hf.checkpoints.checkpoint import Inert
    from ckpt2hf.checkpoints.dcp_index import Entry, Place, TreePath
    from ckpt2hf.files import Span

TITLE = "torch distributed checkpoint"
MAX_INERT = 1 << 20
"""Bytes of the largest pickled value that is read: what says something about the model is small."""
UNREAD = "(not read)"
"""`class_name` of the record that stands for a value which is not read."""
_HEAD, _TAIL = 4 << 10, 66 << 10
"""Bytes at both ends of an item that hold everything but its numbers."""


def read(folder: Path) -> Loaded:
    """The tree that was saved, optimizer state left out. Raises NotFoundError, CheckpointError."""
    index = folder / dcp_index.INDEX
    if not index.is_file():
        dcp_index.refuse(str(folder), f"its index {dcp_index.INDEX} is missing", "it is written last: was it saved?")
    entries = [entry for entry in dcp_index.read(index) if not _is_of_optimizer(entry.path)]
    files = _Files(folder)
    files.prefetch(entries)
    tree = _Tree(str(folder))
    for entry in entries:
        tree.put(entry, _value(entry, files))
    return Loaded(tree.root, TITLE, (index, *(file.path for file in files.open.values())))


def _is_of_optimizer(path: TreePath) -> bool:
    """Whether a value belongs to an optimizer: by what it lies under, or by the first part of a flat name."""
    above = path[:-1] or str(path[0]).split(".")[:1] * ("." in str(path[0]))
    return any(is_optimizer(str(part), {}) for part in above)


@dataclass(slots=True)
class _Files:
    """The files beside the index, each opened once."""

    folder: Path
    open: dict[str, MappedFile] = field(default_factory=dict)
    budget: Budget = field(default_factory=lambda: Budget(dcp_index.MAX_STEPS, dcp_index.MAX_OBJECTS))

    def span(self, place: Place) -> Span:
        """The bytes of a place. Raises CheckpointError if they are not there."""
        if place.file not in self.open:
            path = self.folder / place.file
            if not path.is_file():
                dcp_index.refuse(str(self.folder), f"the file {place.file} is missing")
            self.open[place.file] = MappedFile(path)
        file = self.open[place.file]
        if place.start + place.nbytes > file.size:
            detail = f"an item ends at byte {place.start + place.nbytes}, the file has {file.size}"
            dcp_index.refuse(str(file.path), f"the file {place.file} is truncated", detail)
        return file.span.within(place.start, place.nbytes)

    def prefetch(self, entries: Iterable[Entry]) -> None:
        """See that both ends of every item are at hand."""
        ends: dict[MappedFile, list[tuple[int, int]]] = {}
        for entry in entries:
            for place in [chunk.place for chunk in entry.chunks] + ([entry.place] if entry.place else []):
                span = self.span(place)
                tail = min(_TAIL, span.nbytes)
                runs = [(span.start, min(_HEAD, span.nbytes)), (span.start + span.nbytes - tail, tail)]
                ends.setdefault(span.file, []).extend(runs)
        for file, runs in ends.items():
            file.prefetch(runs)

    def item(self, name: str, place: Place) -> object:
        """The value that was saved at a place. Raises CheckpointError."""
        span = self.span(place)
        try:
            return torch_zip.read(span, self.budget)
        except CheckpointError as error:
            raise CheckpointError(
                f"{shown(name)} cannot be read in the distributed checkpoint",
                details=[error.what, *error.details],
                where=f"{span.file.path}, byte {span.start}",
                tried=error.tried,
                remedies=dcp_index.DAMAGED,
            ) from error


def _value(entry: Entry, files: _Files) -> Inert:
    if entry.place is not None:
        if entry.place.packed or entry.place.nbytes > MAX_INERT:
            return Record(UNREAD, fields={"nbytes": entry.place.nbytes})
        value = files.item(entry.name, entry.place)
        return [value] if isinstance(value, Record) else value  # so that nobody takes it for a tensor that is broken
    dtype = dtype_or_none(entry.dtype)
    if dtype is None:
        return unsupported(f"its element type is {entry.dtype}", dtype=entry.dtype, shape=entry.shape)
    if any(chunk.place.packed for chunk in entry.chunks):
        return unsupported("a storage extension (compression, encryption) changed its bytes", shape=entry.shape)
    parts = []
    for chunk in entry.chunks:
        tensor = files.item(entry.name, chunk.place)
        if not isinstance(tensor, Stored) or tensor.meta != Meta(chunk.shape, dtype):
            found = str(tensor.meta) if isinstance(tensor, Stored) else "no plain tensor"
            expected = f"{Meta(chunk.shape, dtype)} is expected at {list(chunk.at)}, {found} is there"
            dcp_index.refuse(str(files.folder), f"a part of {shown(entry.name)} is something else", expected)
        parts.append(Part(tensor, chunk.at))
    try:
        return JoinedRef.of(Meta(entry.shape, dtype), parts)
    except CheckpointError as error:
        dcp_index.refuse(str(files.folder), f"{shown(entry.name)} is not complete", "; ".join(error.details), error)


@dataclass(slots=True)
class _Tree:
    """Values put back where they were before their names were flattened."""

    where: str
    root: dict[object, Inert] = field(default_factory=dict)
    _inner: dict[TreePath, dict[object, Inert]] = field(default_factory=dict)
    _leaves: set[TreePath] = field(default_factory=set)

    def put(self, entry: Entry, value: Inert) -> None:
        """One value at its place. Raises CheckpointError if there is something else."""
        node = self.root
        for length in range(1, len(entry.path)):
            above = entry.path[:length]
            if above in self._leaves:
                self._refuse(entry)
            if above not in self._inner:
                self._inner[above] = {}
                node[above[-1]] = self._inner[above]
            node = self._inner[above]
        if entry.path in self._leaves or entry.path in self._inner:
            self._refuse(entry)
        self._leaves.add(entry.path)
        node[entry.path[-1]] = value

    def _refuse(self, entry: Entry) -> None:
        dcp_index.refuse(self.where, "two of its values have the same place in the tree", shown(entry.name))
