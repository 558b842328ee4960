"""Pickles that are not zip archives: `torch.save` before PyTorch 1.6, and plain `pickle.dump`.

Source: pytorch/pytorch torch/serialization.py (_legacy_save, _legacy_load), torch/storage.py (_load_from_bytes).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints import torch_objects
from ckpt2hf.checkpoints.cursor import Budget, Cursor
from ckpt2hf.checkpoints.unpickling import BROKEN, unpickle
from ckpt2hf.checkpoints.values import Storage
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import MappedFile, Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LEGACY = "torch file (before 1.6)"
PLAIN = "plain pickle"
MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
COUNT = 8
"""Bytes of the element count before each storage."""
NESTED_COST = 50
"""Steps that opening a nested file costs."""


class _Nested:
    """Storages of a plain pickle: each is a whole file of the old format, as bytes inside the pickle."""

    def __init__(self, file: MappedFile, budget: Budget) -> None:
        self.file = file
        self.budget = budget

    def persistent(self, identity: object) -> object:
        """Never in this format. Raises ValueError."""
        raise ValueError(f"a persistent id ({type(identity).__name__}) in a pickle that has no storages")

    def nested(self, blob: memoryview | bytes) -> Storage:
        """The storage in a nested file. Raises CheckpointError."""
        self.budget.spend(NESTED_COST)
        self.budget.nesting -= 1
        if self.budget.nesting < 0:
            raise ValueError("files nested in files without end")
        span = _span_of(self.file, blob)
        found = _read_span(span, self.budget)[0]
        self.budget.nesting += 1
        if not isinstance(found, Storage):
            raise TypeError("a nested file that holds no storage")
        return found


def _span_of(file: MappedFile, blob: memoryview | bytes) -> Span:
    """Where a blob lies in the file: a pickle's bytes are views of it unless an old protocol wrote them as text."""
    start = file.offset_of(blob) if isinstance(blob, memoryview) else None
    if start is None:
        return Span(MappedFile.of_bytes(file.path, bytes(blob)), 0, len(blob))
    return Span(file, start, len(blob))


@dataclass(slots=True)
class _Stored:
    """Storages of one old file by key: first as declared in the pickle, then as found behind it."""

    declared: dict[str, tuple[str, int, int]]
    placed: dict[str, Span] | None
    file: MappedFile

    def persistent(self, identity: object) -> object:
        """What `("storage", class, key, location, numel, view)` or `("module", class, …)` stands for."""
        if not isinstance(identity, tuple) or not identity:
            raise TypeError("an unknown kind of persistent id")
        kind, *data = identity
        if kind == "module" and data:
            return data[0]
        if kind != "storage" or len(data) not in {4, 5}:
            raise ValueError("an unknown kind of persistent id")
        name, item = torch_objects.storage_type(data[0])
        key, numel = _key(data[1]), torch_objects.count(data[3])
        if self.declared.setdefault(key, (name, item, numel)) != (name, item, numel):
            raise ValueError(f"storage {key} is declared twice, differently")
        span = Span(self.file, 0, numel * item) if self.placed is None else self.placed[key]
        view = data[4] if len(data) == 5 else None  # noqa: PLR2004  the fifth is the view
        if view is not None:
            if not isinstance(view, tuple):
                raise TypeError("a storage view that is no tuple")
            offset, size = torch_objects.count(view[1]) * item, torch_objects.count(view[2]) * item
            if offset + size > span.nbytes:
                raise ValueError(f"a view of storage {key} reaches past its end")
            span = Span(span.file, span.start + offset, size)
        return Storage(span, torch_objects.dtype_or_none(name), name)

    def nested(self, blob: memoryview | bytes) -> Storage:
        """Never in this format. Raises ValueError."""
        raise ValueError(f"a file of {len(blob)} bytes inside the pickle of a torch file")


def read(file: MappedFile) -> tuple[object, str]:
    """The pickled tree and the name of the format. Raises CheckpointError."""
    return _read_span(file.span, Budget())


def _read_span(span: Span, budget: Budget) -> tuple[object, str]:
    cursor, where = Cursor(span), str(span.file.path)
    first = unpickle(cursor, _Nested(span.file, budget), budget, where=where)
    if isinstance(first, int) and first == MAGIC:
        try:
            return _legacy(span, cursor, budget), LEGACY
        except BROKEN as error:
            raise CheckpointError(
                "the storages behind the pickle cannot be read",
                details=[str(error) or type(error).__name__],
                where=where,
                remedies=["copy or download the file again, it may be truncated"],
            ) from error
    if cursor.position < cursor.end and bytes(span.part(cursor.position, 64)).strip():
        raise CheckpointError(
            "there is more in this file than one pickle",
            details=[f"the pickle ends at byte {cursor.position} of {cursor.end}"],
            where=where,
            remedies=["save the state_dict alone: torch.save(model.state_dict(), path)"],
        )
    return first, PLAIN


def _legacy(span: Span, cursor: Cursor, budget: Budget) -> object:
    where = str(span.file.path)
    stored = _Stored({}, None, span.file)
    protocol = unpickle(cursor, stored, budget, where=where)
    info = unpickle(cursor, stored, budget, where=where)
    if protocol != PROTOCOL or not isinstance(info, dict):
        raise ValueError(f"protocol of type {type(protocol).__name__} where {PROTOCOL} is expected")
    if info.get("little_endian") is not True:
        raise ValueError("the tensors are stored in big-endian byte order")
    tree_at = cursor.position
    unpickle(cursor, stored, budget, where=where)  # only to learn the sizes of the storages
    stored.placed = _place(span, cursor, stored.declared, unpickle(cursor, stored, budget, where=where))
    return unpickle(Cursor(span, tree_at), stored, budget, where=where)


def _key(value: object) -> str:
    """A storage's key: text, or a number in very old files."""
    if not isinstance(value, str | int):
        raise TypeError("a storage key that is neither text nor a number")
    return str(value)


def _place(span: Span, cursor: Cursor, declared: dict[str, tuple[str, int, int]], keys: object) -> dict[str, Span]:
    """Where each storage lies: in the order of `keys`, an element count and the elements."""
    if not isinstance(keys, list):
        raise TypeError("the list of storages is no list")
    placed: dict[str, Span] = {}
    span.file.prefetch(_counts(span.start + cursor.position, [declared[key] for key in map(_key, keys)]))
    for key in map(_key, keys):
        name, item, numel = declared[key]
        (found,) = struct.unpack("<q", span.part(cursor.position, COUNT))
        cursor.skip(COUNT)
        if found != numel or key in placed:
            raise ValueError(f"storage {key} should have {numel} elements of {name}, it has {found}")
        placed[key] = Span(span.file, span.start + cursor.position, numel * item)
        cursor.skip(numel * item)
    missing = declared.keys() - placed.keys()
    if missing:
        raise LookupError(f"storage {min(missing)} is not in the file")
    return placed


def _counts(at: int, storages: Iterable[tuple[str, int, int]]) -> Iterator[tuple[int, int]]:
    """Where the element count before each storage is, if the counts are as declared: `(start, nbytes)`."""
    for _, item, numel in storages:
        yield at, COUNT
        at += COUNT + numel * item
