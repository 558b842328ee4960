"""The index of a distributed checkpoint, `.metadata`: which boxes every tensor has, and where each of them lies.

It is a pickle, and read like all others: nothing in it is imported or called.
Source: pytorch/pytorch torch/distributed/checkpoint/metadata.py (Metadata, TensorStorageMetadata, MetadataIndex),
filesystem.py (_StorageInfo), default_planner.py (planner_data: where a name was before it was flattened); 2.13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from ckpt2hf.checkpoints import torch_objects
from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.checkpoints.constructors import STATE
from ckpt2hf.checkpoints.cursor import Budget, Cursor
from ckpt2hf.checkpoints.unpickling import BROKEN, unpickle
from ckpt2hf.checkpoints.values import Global, shown
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.checkpoints.values import Storage

INDEX, SUFFIX = ".metadata", ".distcp"
MAX_STEPS, MAX_OBJECTS = 40_000_000, 8_000_000
"""What reading an index may cost: it names every box of every tensor, those of the optimizer among them."""
MAX_PATH = 64
DAMAGED = ["copy or download all files of the directory again", "save it again with torch.distributed.checkpoint.save"]
TreePath: TypeAlias = tuple[str | int, ...]
"""Where in the tree that was saved a value lay."""


@dataclass(frozen=True, slots=True)
class Place:
    """A run of bytes of one of the files beside the index."""

    file: str
    start: int
    nbytes: int
    packed: bool
    """Whether something compressed or encrypted the bytes on their way into the file."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A box of a tensor, and where it lies."""

    at: tuple[int, ...]
    shape: tuple[int, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Entry:
    """One value that was saved: a tensor with a shape and chunks, or anything else, pickled at one place."""

    name: str
    path: TreePath
    shape: tuple[int, ...] = ()
    dtype: str = ""
    """What PyTorch calls the element type; empty for what is no tensor."""
    chunks: tuple[Chunk, ...] = ()
    place: Place | None = None


def is_part(name: str) -> bool:
    """Whether a file name says that the directory around it is a distributed checkpoint."""
    return name == INDEX or name.endswith(SUFFIX)


def read(index: Path) -> list[Entry]:
    """Everything the index names, in its order. Raises NotFoundError, CheckpointError."""
    file, where = MappedFile(index), str(index)
    try:
        tree = unpickle(Cursor(file.span), _NoStorages(), Budget(MAX_STEPS, MAX_OBJECTS), where=where)
        metadata = _fields(tree, "Metadata")
        places = _places(metadata["storage_data"])
        paths = metadata.get("planner_data")
        entries = [
            _entry(name, what, _path(name, paths), places)
            for name, what in _mapping(metadata["state_dict_metadata"]).items()
        ]
        if places:
            fqn, at = next(iter(places))
            raise ValueError(f"it places {shown(fqn)} at {at}, a part that no tensor has")
    except CheckpointError as error:
        refuse(where, f"its index is damaged: {error.what}", "; ".join(error.details), error)
    except BROKEN as error:
        refuse(where, "its index is damaged", str(error) or type(error).__name__, error)
    _require_apart(entries, where)
    return entries


def refuse(where: str, what: str, detail: str = "", cause: BaseException | None = None) -> NoReturn:
    """Raise the CheckpointError that says what is wrong with the directory."""
    raise CheckpointError(
        f"the distributed checkpoint cannot be read: {what}",
        details=[detail] if detail else [],
        where=where,
        remedies=DAMAGED,
    ) from cause


class _NoStorages:
    """An index holds no tensors."""

    def persistent(self, identity: object) -> object:
        """Never. Raises ValueError."""
        raise ValueError(f"a persistent id ({type(identity).__name__}) in an index")

    def nested(self, blob: memoryview | bytes) -> Storage:
        """Never. Raises ValueError."""
        raise ValueError(f"a file of {len(blob)} bytes inside an index")


def _fields(value: object, kind: str) -> dict[str, object]:
    """The attributes of an instance of one of PyTorch's classes. Raises TypeError for anything else."""
    if not isinstance(value, Record) or not value.class_name.startswith("torch.distributed."):
        raise TypeError(f"where an instance of {kind} should be is something else")
    if value.class_name.rpartition(".")[2] != kind:
        raise TypeError(f"where an instance of {kind} should be is {shown(value.class_name)}")
    return value.fields


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise TypeError("what should be a table by name is none")
    return value


def _sizes(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) > torch_objects.MAX_DIMS:
        raise TypeError("a size or offset that is no short tuple")
    return tuple(torch_objects.count(part) for part in value)


def _places(value: object) -> dict[tuple[str, tuple[int, ...] | None], Place]:
    """Where each part lies, by the name of its tensor and its corner; the corner is None for what is no tensor."""
    if not isinstance(value, dict):
        raise TypeError("the table of places is none")
    places: dict[tuple[str, tuple[int, ...] | None], Place] = {}
    for key, info in value.items():
        index, where = _fields(key, "MetadataIndex"), _fields(info, "_StorageInfo")
        name, offset, file = index["fqn"], index.get("offset"), where["relative_path"]
        if not isinstance(name, str) or not isinstance(file, str):
            raise TypeError("a name that is no text")
        if file in {"", ".", ".."} or any(sign in file for sign in "/\\:\0") or not file.isprintable():
            raise ValueError(f"it names a file that is a path to somewhere else: {shown(repr(file))}")
        part = (name, None if offset is None else _sizes(offset))
        if part in places:
            raise ValueError(f"{shown(name)} has two parts at the same place, {part[1]}")
        start, nbytes = torch_objects.count(where["offset"]), torch_objects.count(where["length"])
        places[part] = Place(file, start, nbytes, packed=bool(where.get("transform_descriptors")))
    return places


def _entry(name: str, value: object, path: TreePath, places: dict[tuple[str, tuple[int, ...] | None], Place]) -> Entry:
    """One value; its places are taken out of the table."""
    if isinstance(value, Record) and value.class_name.rpartition(".")[2] == "BytesStorageMetadata":
        return Entry(name, path, place=_taken(places, name, None))
    tensor = _fields(value, "TensorStorageMetadata")
    properties = _fields(tensor["properties"], "TensorProperties")
    state = properties.get(STATE)
    dtype = state[0] if isinstance(state, tuple) and state else properties["dtype"]
    if not isinstance(dtype, Global) or dtype.module != "torch":
        raise TypeError(f"the element type of {shown(name)} is no torch.dtype")
    shape, chunks = _sizes(tensor["size"]), tensor["chunks"]
    if math.prod(n for n in shape if n) > torch_objects.MAX_ELEMENTS:
        raise ValueError(f"{shown(name)} should have the shape {shape}")
    if not isinstance(chunks, list):
        raise TypeError(f"the parts of {shown(name)} are no list")
    found = []
    for chunk in chunks:
        fields = _fields(chunk, "ChunkStorageMetadata")
        at, sizes = _sizes(fields["offsets"]), _sizes(fields["sizes"])
        if 0 in sizes:
            places.pop((name, at), None)  # what a rank has that got nothing of the tensor, if it wrote that at all
        else:
            found.append(Chunk(at, sizes, _taken(places, name, at)))
    return Entry(name, path, shape, dtype.name, tuple(found))


def _taken(places: dict[tuple[str, tuple[int, ...] | None], Place], name: str, at: tuple[int, ...] | None) -> Place:
    place = places.pop((name, at), None)
    if place is None:
        raise LookupError(f"it does not say where {shown(name)}{'' if at is None else f' at {list(at)}'} lies")
    return place


def _path(name: str, paths: object) -> TreePath:
    """Where the value was in the tree that was saved: at the top by its own name, unless the planner says more."""
    path = paths.get(name) if isinstance(paths, dict) else None
    if path is None:
        return (name,)
    if not isinstance(path, tuple) or not 0 < len(path) <= MAX_PATH:
        raise TypeError(f"the path of {shown(name)} is no tuple")
    parts: list[str | int] = []
    for part in path:
        if part is not None and not isinstance(part, str | int | float):
            raise TypeError(f"the path of {shown(name)} is no path")
        parts.append(part if isinstance(part, str | int) and not isinstance(part, bool) else str(part))
    return tuple(parts)


def _require_apart(entries: list[Entry], where: str) -> None:
    """Refuse places that overlap: no writer makes them, and they would let a small file claim any size."""
    used = [
        (place, entry.name)
        for entry in entries
        for place in (*(chunk.place for chunk in entry.chunks), *([entry.place] if entry.place else []))
    ]
    used.sort(key=lambda each: (each[0].file, each[0].start, each[0].nbytes))
    for (before, one), (after, other) in pairwise(used):
        if before.file == after.file and after.start < before.start + before.nbytes:
            refuse(where, "two of its parts overlap in a file", f"{shown(one)} and {shown(other)} in {before.file}")
