"""safetensors files: an 8-byte length, a JSON header, packed tensors.

Source: huggingface/safetensors safetensors/src/tensor.rs (format and its checks), README.md.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.checkpoints.values import shown
from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import Span
from ckpt2hf.tensors import DType, Meta, TensorRef

if TYPE_CHECKING:
    from ckpt2hf.files import MappedFile

TITLE = "safetensors file"
MAX_HEADER = 100_000_000
"""Bytes; the library's own limit."""
METADATA = "__metadata__"
MAX_DIMS = 64
_BOXES = "DCP_SHARDING_INFO"
"""Source: pytorch/pytorch torch/distributed/checkpoint/filesystem.py, _hf_utils.py: where each box begins."""
_LENGTH = 8


def read(file: MappedFile) -> tuple[dict[str, TensorRef], dict[str, str]]:
    """The tensors in the order of their bytes, and the text metadata. Raises CheckpointError."""
    header, start = _header(file)
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(file, f"its {METADATA} is not a table of strings")
    _refuse_boxes(file, metadata.get(_BOXES, "{}"))
    places = {name: _place(file, name, entry, start) for name, entry in header.items()}
    end = 0
    for name, ref in sorted(places.items(), key=lambda item: (item[1].storage.start, item[1].storage.nbytes)):
        if ref.storage.start - start < end:
            _refuse(file, f"the tensor {shown(name)} overlaps another one")
        end = ref.storage.start - start + ref.storage.nbytes
    ordered = dict(sorted(places.items(), key=lambda item: item[1].storage.start))
    return ordered, metadata


def _refuse_boxes(file: MappedFile, text: str) -> None:
    """Refuse one rank's boxes of tensors: they could look like the tensors of a smaller model."""
    try:
        corners = {name: entry["saved_offsets"] for name, entry in json.loads(text).items()}
        inner = [name for name, corner in corners.items() if any(corner)]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
        _refuse(file, f"its {_BOXES} is damaged", error)
    if inner:
        raise CheckpointError(
            "this file has only one rank's part of every tensor",
            details=[f"{shown(name)} from {corners[name]} on" for name in inner[:8]],
            where=str(file.path),
            remedies=["save with torch's HuggingFaceStorageWriter(…, enable_consolidation=True)"],
        )


def _refuse(file: MappedFile, what: str, cause: BaseException | None = None) -> NoReturn:
    raise CheckpointError(
        f"the safetensors file cannot be read: {what}",
        where=str(file.path),
        remedies=["copy or download the file again", "save it again with safetensors.torch.save_file"],
    ) from cause


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name appears twice in its header")
    return made


def _header(file: MappedFile) -> tuple[dict[str, object], int]:
    if file.size < _LENGTH:
        _refuse(file, "it is shorter than its own length field")
    (length,) = struct.unpack("<Q", file.bytes_at(0, _LENGTH))
    if length > MAX_HEADER or length > file.size - _LENGTH:
        _refuse(file, f"its header should have {length} bytes, the file has {file.size}: truncated, or another format")
    try:
        header = json.loads(str(file.bytes_at(_LENGTH, length), "utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        _refuse(file, str(error) or type(error).__name__, error)
    if not isinstance(header, dict):
        _refuse(file, "its header is no JSON object")
    return header, _LENGTH + length


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62


def _place(file: MappedFile, name: str, entry: object, start: int) -> TensorRef:
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        _refuse(file, f"the entry of {shown(name)} is incomplete")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if (
        not isinstance(shape, list)
        or len(shape) > MAX_DIMS
        or not isinstance(offsets, list)
        or len(offsets) != 2  # noqa: PLR2004  begin and end
        or not all(map(_whole, [*shape, *offsets]))
    ):
        _refuse(file, f"the shape or the offsets of {shown(name)} are not whole numbers")
    try:
        meta = Meta(tuple(shape), DType(entry["dtype"]))
    except ValueError as error:
        _refuse(
            file, f"the element type of {shown(name)} is {shown(str(entry['dtype']))}, which is not supported", error
        )
    begin, end = offsets
    if begin > end or start + end > file.size:
        _refuse(file, f"the tensor {shown(name)} lies outside the file: it is truncated")
    if meta.nbytes != end - begin:
        _refuse(file, f"the tensor {shown(name)} is {meta}, {meta.nbytes} bytes, but {end - begin} bytes are declared")
    return TensorRef.packed(meta, Span(file, start + begin, end - begin))
