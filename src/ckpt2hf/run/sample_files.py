"""The files a text can be in: token ids as `.bin`, `.npy` or `.pt`, or UTF-8 with a tokenizer."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.checkpoints import read_tree
from ckpt2hf.errors import CheckpointError, NotFoundError, UsageError
from ckpt2hf.tensors import TensorRef
from ckpt2hf.tokenizers import Unencodable, tokenizer_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ckpt2hf.tensors import Array
    from ckpt2hf.tokenizers import AskedTokenizer

TYPES = {"uint16": "<u2", "uint32": "<u4"}
"""What a `.bin` can hold."""
SAMPLE = "--sample"
"""The option that names such a file, unless it is said to be another one; its `-dtype` is about a `.bin`."""
IDS = (".bin", ".npy", ".pt", ".pth")
"""How the name of a file of token ids ends."""
MOST_TEXT = 1 << 20
"""Bytes of a text that are read, from its beginning: more tokens than are ever used."""
_LOOKED_AT = 1 << 20
"""Bytes of a `.bin` whose range decides its type."""
_MATRIX = 2
_FORMATS = "text is UTF-8; token ids are in a .bin, .npy or .pt"


def read_ids(path: Path, dtype: str | None, vocab: int, option: str = SAMPLE) -> Array:
    """The token ids `[stretches, tokens]` of a file whose name ends in one of `IDS`, mapped where it can be.

    `option` is the one that named the file, and `vocab` tells the types of a `.bin` apart. Raises UsageError,
    NotFoundError.
    """
    kind = path.suffix.lower()
    if kind == ".bin":
        return read_binary(path, dtype, vocab, option)
    if dtype is not None:
        raise UsageError(f"{option}-dtype is about .bin files only", where=str(path))
    return read_array(path, option) if kind == ".npy" else read_tensor(path, option)


def read_binary(path: Path, dtype: str | None, vocab: int, option: str = SAMPLE) -> Array:
    """The ids `[1, tokens]` of a file of little-endian uint16 or uint32, which its range decides. Raises UsageError."""
    require_file(path, option)
    if dtype is not None and dtype not in TYPES:
        raise UsageError(f"{option}-dtype takes uint16 or uint32, not {dtype}", where=str(path))
    size = path.stat().st_size
    kind = dtype or _type(path, size, vocab, option)
    width = np.dtype(TYPES[kind]).itemsize
    if size % width or not size:
        raise UsageError(f"a file of {size} bytes does not hold {kind} token ids", where=str(path))
    ids: Array = np.memmap(path, TYPES[kind], "r")
    return ids[None]


def _type(path: Path, size: int, vocab: int, option: str) -> str:
    """The type by which all ids are in the vocabulary. Raises UsageError where both or neither are."""
    with path.open("rb") as file:
        head = file.read(_LOOKED_AT)
    head = head[: len(head) // 4 * 4]
    halves = np.frombuffer(head, "<u2")
    high = (vocab - 1) >> 16
    long = size % 4 == 0 and bool((np.frombuffer(head, "<u4") < vocab).all())
    short = bool((halves < vocab).all())
    # The upper halves of uint32 ids are tiny. Only where the lower ones are as tiny could it be uint16 as well.
    if long and (not short or bool((halves[::2] > high).any())):
        return "uint32"
    if short and not long:
        return "uint16"
    what = "could be uint16 or uint32" if long else f"is neither uint16 nor uint32 ids below {vocab}"
    remedies = [f"{option}-dtype {name}" for name in TYPES] if long else ["another file: .npy says what it holds"]
    raise UsageError(f"{path.name} {what}", where=str(path), remedies=remedies)


def read_array(path: Path, option: str = SAMPLE) -> Array:
    """The ids of a `.npy`: rows of a matrix are stretches of text. Raises UsageError, NotFoundError."""
    require_file(path, option)
    try:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"{path.name} is not a .npy of numbers: {error}", where=str(path)) from error
    return _rows(np.asarray(ids), path)


def read_tensor(path: Path, option: str = SAMPLE) -> Array:
    """The ids of the only tensor of integers in a `.pt`, which is read without executing anything in it."""
    require_file(path, option)
    try:
        tree = read_tree(path)
    except CheckpointError as error:
        raise UsageError(
            f"{path.name} cannot be read: {error.what}", details=error.details, where=str(path), remedies=[_FORMATS]
        ) from error
    found = [ref for ref in _tensors(tree) if np.issubdtype(ref.meta.dtype.numpy, np.integer)]
    if len(found) != 1:
        raise UsageError(
            f"{path.name} holds {len(found)} tensors of integers, not one",
            where=str(path),
            remedies=["torch.save(ids, 'sample.pt')"],
        )
    return _rows(found[0].load(), path)


def _tensors(tree: object) -> Iterator[TensorRef]:
    """The tensors at the top of a tree, or right below it."""
    if isinstance(tree, TensorRef):
        yield tree
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    yield from (part for part in parts if isinstance(part, TensorRef))


def _rows(ids: Array, path: Path) -> Array:
    if not np.issubdtype(ids.dtype, np.integer) or ids.ndim not in (1, _MATRIX) or not ids.size:
        shape = "x".join(map(str, ids.shape)) or "no"
        raise UsageError(
            f"{path.name} holds {shape} values of type {ids.dtype}, not a row or rows of token ids", where=str(path)
        )
    return ids if ids.ndim == _MATRIX else ids[None]


def read_text(path: Path, asked: AskedTokenizer, folder: Path) -> tuple[Array, Path]:
    """The ids `[1, tokens]` of the beginning of a text, and the tokenizer that made them.

    The encoder of the training run itself makes them. Raises UsageError, NotFoundError, TokenizerError.
    """
    text, _ = beginning(path, MOST_TEXT)
    tokenizer = tokenizer_of(folder, asked)
    if tokenizer is None:
        raise UsageError(
            "text needs the tokenizer of the training run, and none lies beside the checkpoint",
            where=str(path),
            remedies=["--tokenizer FILE", "token ids in a .bin, .npy or .pt instead of text"],
        )
    try:
        ids: Array = np.array(tokenizer.original.encode(text), np.int64)
    except Unencodable as error:
        raise UsageError(
            f"the tokenizer {tokenizer.files[0].name} has no ids for this text: {error}",
            where=str(path),
            remedies=["text of the kind the model was trained on"],
        ) from error
    return ids[None], tokenizer.files[0]


def is_text(path: Path) -> bool:
    """Whether a file is text by its name, rather than token ids."""
    return path.suffix.lower() not in IDS


def beginning(path: Path, most: int, option: str = SAMPLE) -> tuple[str, bool]:
    """At most so many bytes of a text in UTF-8, and whether that is all of it. Raises UsageError, NotFoundError."""
    require_file(path, option)
    with path.open("rb") as file:
        data = file.read(most + 1)
    whole = len(data) <= most
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data[:most], final=whole)
    except UnicodeDecodeError as error:
        raise UsageError(f"{path.name} is not text in UTF-8", where=str(path), remedies=[_FORMATS]) from error
    if "\0" in text:
        raise UsageError(f"{path.name} is not text: it holds NUL bytes", where=str(path), remedies=[_FORMATS])
    return text, whole


def require_file(path: Path, option: str = SAMPLE) -> None:
    """Refuse a file that is not there. Raises NotFoundError."""
    if not path.is_file():
        raise NotFoundError(f"there is no file {path}", remedies=[f"{option} FILE", _FORMATS])
