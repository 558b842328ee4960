"""llm.c's own `.bin` files: a header of 256 integers, and the tensors packed one after another in a fixed order.

They get the names that llm.c's PyTorch model has for them, so that both files of one model say the same.
Source: karpathy/llm.c f1e2ace train_gpt2.py (write_model, write_tensors), train_gpt2.c (gpt2_build_from_checkpoint).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.errors import CheckpointError
from ckpt2hf.tensors import DType, Meta, TensorRef, packed_strides

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.checkpoints.checkpoint import Inert
    from ckpt2hf.files import MappedFile

TITLE = "llm.c weights file"
MAGIC = struct.pack("<i", 20240326)
METADATA = "llmc"
HEADER = 256 * 4
"""Bytes: 256 integers, of which eight are used."""
MAX_LAYERS = 4096
_DTYPES = {3: DType.F32, 5: DType.BF16}
"""The element type of each version of the format."""
_TOKENS, _POSITIONS, _HEAD = "transformer.wte.weight", "transformer.wpe.weight", "lm_head.weight"


@dataclass(frozen=True, slots=True)
class _Header:
    version: int
    block_size: int
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    padded_vocab_size: int

    @property
    def is_sound(self) -> bool:
        """Whether it describes some GPT-2."""
        positive = min(self.block_size, self.vocab_size, self.n_layer, self.n_head, self.n_embd) > 0
        return positive and self.vocab_size <= self.padded_vocab_size and self.n_layer <= MAX_LAYERS

    def arrays(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Everything in the file, in order: name and shape; with a `{}` it is an array of one tensor per layer."""
        width = self.n_embd
        yield _TOKENS, (self.padded_vocab_size, width)
        yield _POSITIONS, (self.block_size, width)
        for part, out, into in (
            ("ln_1", width, 0),
            ("attn.c_attn", 3 * width, width),
            ("attn.c_proj", width, width),
            ("ln_2", width, 0),
            ("mlp.c_fc", 4 * width, width),
            ("mlp.c_proj", width, 4 * width),
        ):
            yield f"transformer.h.{{}}.{part}.weight", (self.n_layer, out, into) if into else (self.n_layer, out)
            yield f"transformer.h.{{}}.{part}.bias", (self.n_layer, out)
        yield "transformer.ln_f.weight", (width,)
        yield "transformer.ln_f.bias", (width,)


def read(file: MappedFile) -> dict[str, Inert]:
    """The tensors by name, without the rows that only pad the vocabulary; the header under `llmc`.

    The output layer is the token embedding, as in the code. Raises CheckpointError.
    """
    header = _header(file)
    dtype, at = _DTYPES[header.version], HEADER
    found: dict[str, Inert] = {}
    for name, shape in header.arrays():
        meta = Meta(shape, dtype)
        storage = file.span.within(at, meta.nbytes)
        at += meta.nbytes
        if "{}" in name:
            inner = Meta(shape[1:], dtype)
            strides = packed_strides(inner.shape)
            for layer in range(header.n_layer):
                found[name.format(layer)] = TensorRef(inner, storage, layer * inner.size, strides)
        else:
            kept = (header.vocab_size, *shape[1:]) if name == _TOKENS else shape
            found[name] = TensorRef(Meta(kept, dtype), storage, 0, packed_strides(shape))
    # In the order of state_dict(): layer by layer.
    tail = [name for name in found if name.startswith("transformer.ln_f.")]
    layers = [name.format(k) for k in range(header.n_layer) for name, _ in header.arrays() if "{}" in name]
    ordered = {name: found[name] for name in (_TOKENS, _POSITIONS, *layers, *tail)}
    return {**ordered, _HEAD: found[_TOKENS], METADATA: _facts(header)}


def _header(file: MappedFile) -> _Header:
    if file.size < HEADER:
        _refuse(file, "it ends inside its header", f"{file.size} bytes, the header alone has {HEADER}")
    header = _Header(*struct.unpack_from("<7i", file.bytes_at(4, 28)))
    if header.version not in _DTYPES:
        _refuse(file, f"its format has version {header.version}", "versions 3 (float32) and 5 (bfloat16) are read")
    if not header.is_sound:
        _refuse(file, "its header describes no model", str(header))
    item = _DTYPES[header.version].itemsize
    expected = HEADER + sum(Meta(shape, DType.U8).size for _, shape in header.arrays()) * item
    if expected != file.size:
        _refuse(file, "its size is not what its header says", f"{file.size} bytes, the header means {expected}")
    return header


def _facts(header: _Header) -> dict[str, Inert]:
    return {
        "version": header.version,
        "block_size": header.block_size,
        "vocab_size": header.vocab_size,
        "padded_vocab_size": header.padded_vocab_size,
        "padding_rows_cut_off": header.padded_vocab_size - header.vocab_size,
        "n_layer": header.n_layer,
        "n_head": header.n_head,
        "n_embd": header.n_embd,
    }


def _refuse(file: MappedFile, what: str, detail: str) -> NoReturn:
    raise CheckpointError(
        f"the llm.c weights file cannot be read: {what}",
        details=[detail],
        where=str(file.path),
        remedies=["copy or download the file again", "write it again with llm.c's train_gpt2.py (write_model)"],
    )
