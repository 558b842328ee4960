"""What a file is, told from its first bytes; and what to say about the files that are no checkpoint."""

from __future__ import annotations

import enum
import struct
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.llmc import MAGIC
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from ckpt2hf.files import MappedFile


class Kind(enum.Enum):
    """The containers that are read."""

    ZIP = "zip"
    SAFETENSORS = "safetensors"
    PICKLE = "pickle"
    LLMC = "llm.c"


_PYTORCH = "ckpt2hf reads PyTorch checkpoints and safetensors: save the weights with torch.save"
_UNPACK = "unpack it and name the checkpoint inside"
_BYTES: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself", "run `git lfs pull` to fetch the file"),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a zstandard archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (0, b"\x93NUMPY", "a NumPy array", _PYTORCH),
    (0, b"GGUF", "a GGUF model", "convert the checkpoint it was made from"),
    (0, b"ggml", "a GGML model", "convert the checkpoint it was made from"),
    (0, b"lmgg", "a GGML model", "convert the checkpoint it was made from"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, such as a Keras model", _PYTORCH),
)
"""Offset, bytes, what the file is, what to do.

Source: ggml-org/ggml docs/gguf.md.
"""
_TAR_AT, _TAR = 257, b"ustar"
_SUFFIXES = {
    ".onnx": "an ONNX model",
    ".h5": "a Keras model",
    ".keras": "a Keras model",
    ".pb": "a TensorFlow graph",
    ".index": "a TensorFlow checkpoint index",
    ".tflite": "a TensorFlow Lite model",
    ".msgpack": "a Flax checkpoint",
    ".npy": "a NumPy array",
}
_HEADER = 8
_PICKLE_MAGIC = 0x80
_TEXT_PICKLE_STARTS = b"(])}cIFLSVNKJG"


def kind(file: MappedFile) -> Kind:
    """Which container this is. Raises CheckpointError that says what the file looks like instead."""
    head = bytes(file.bytes_at(0, 512))
    if head.startswith(b"PK"):
        return Kind.ZIP
    _refuse_known(file, head)
    if head.startswith(MAGIC):
        return Kind.LLMC
    if _is_safetensors(file, head):
        return Kind.SAFETENSORS
    ends_like_pickle = bytes(file.bytes_at(max(file.size - 2, 0), 2)).rstrip().endswith(b".")
    if head[0] == _PICKLE_MAGIC or (head[0] in _TEXT_PICKLE_STARTS and ends_like_pickle):
        return Kind.PICKLE
    suffix = file.path.suffix.lower()
    if suffix == ".safetensors":
        return Kind.SAFETENSORS  # its own reader says best what is wrong with it
    text = _text_kind(head)
    if text:
        raise _not_one(file, text, "name the checkpoint itself, often ckpt.pt or model.safetensors")
    what = _SUFFIXES.get(suffix, "no format that is known here")
    raise _not_one(file, f"{what} (it begins with the bytes {head[:8].hex(' ')})", _PYTORCH)


def _refuse_known(file: MappedFile, head: bytes) -> None:
    if not head:
        raise _not_one(file, "an empty file", "copy or download the file again")
    for offset, signature, what, remedy in _BYTES:
        if head[offset : offset + len(signature)] == signature:
            raise _not_one(file, what, remedy)
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR:
        remedy = f"{_UNPACK}; if PyTorch before 0.1.10 wrote it, load and save it again with a newer PyTorch"
        raise _not_one(file, "a tar archive", remedy)


def _is_safetensors(file: MappedFile, head: bytes) -> bool:
    if len(head) <= _HEADER or head[_HEADER : _HEADER + 1] != b"{":
        return False
    (length,) = struct.unpack("<Q", head[:_HEADER])
    return length <= file.size - _HEADER or file.path.suffix.lower() == ".safetensors"


def _text_kind(head: bytes) -> str | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page: the download gave an error or a login page"
    try:
        text = head[:-4].decode("utf-8", "strict") if len(head) == 512 else head.decode("utf-8")  # noqa: PLR2004
    except UnicodeDecodeError:
        return None
    if not all(c.isprintable() or c in "\t\r\n" for c in text):
        return None
    return "a JSON file" if start.startswith(b"{") else "a text file"


def _not_one(file: MappedFile, what: str, remedy: str) -> CheckpointError:
    return CheckpointError(f"{file.path.name} is {what}", where=str(file.path), remedies=[remedy])
