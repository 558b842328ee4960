"""A GGUF file written block by block: what it takes of memory does not grow with the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

from ckpt2hf.ops import boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from io import BufferedWriter
    from pathlib import Path

    from ckpt2hf.plan import GgufPlan
    from ckpt2hf.tensors import Array, Readable

LARGEST = 48 * 10**9
"""Bytes of tensors above which a file is split in parts. Source: hubs take files of up to 50 GB."""
_BFLOAT16 = 16
"""Bits that bfloat16 leaves out of a float32."""
_NAMED: Mapping[type, str] = {bool: "add_bool", int: "add_uint32", float: "add_float32", str: "add_string"}
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "BF16": gguf.LlamaFileType.MOSTLY_BF16,
}


def write(
    plan: GgufPlan,
    out: Path,
    kind: str,
    general: Mapping[str, Any],
    vocabulary: Callable[[gguf.GGUFWriter], None],
    largest: int = LARGEST,
) -> None:
    """Write the file, or its parts if it is larger than `largest` bytes. `kind` is F32, F16 or BF16.

    `general` are keys that come after `general.`, and `vocabulary` adds those of the tokenizer.
    """
    writer = gguf.GGUFWriter(out, plan.architecture.id, split_max_size=largest)
    writer.add_file_type(_FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for key, value in general.items():
        _add(writer, f"general.{key}", value)
    for key, value in plan.keys.items():
        _add(writer, f"{plan.architecture.id}.{key}", value)
    vocabulary(writer)
    streams, matrices = [], plan.matrices
    for name, tensor in plan.tensors.items():
        stream = _Stream(tensor, kind if name in matrices else "F32")
        streams.append(stream)
        raw = gguf.GGMLQuantizationType[stream.kind]
        writer.add_tensor_info(name, tensor.meta.shape, np.dtype(np.float32), stream.nbytes, raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for stream in streams:
        as_array: Any = stream  # the library asks for no more of it
        writer.write_tensor_data(as_array)
    writer.close()


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:  # noqa: ANN401 - whatever metadata hold
    if isinstance(value, list):
        writer.add_array(key, value)
    else:
        getattr(writer, _NAMED[type(value)])(key, value)


class _Stream:
    """What looks to the library like an array, and is written block by block."""

    def __init__(self, tensor: Readable, kind: str) -> None:
        self._tensor = tensor
        self.kind = kind
        self.nbytes = tensor.meta.size * (4 if kind == "F32" else 2)

    def tofile(self, file: BufferedWriter) -> None:
        """Write all of it."""
        file.writelines(block.data for block in self._blocks())  # an array's own `tofile` does not say why it could not

    def _blocks(self) -> Iterator[Array]:
        for box in boxes(self._tensor.meta):
            yield np.ascontiguousarray(narrowed(self._tensor.read(box).astype(np.float32, copy=False), self.kind))


def narrowed(wide: Array, kind: str) -> Array:
    """float32 numbers in another type, as their bits where NumPy has none. Raises OverflowError."""
    if kind == "F32":
        return wide
    if kind == "F16":
        with np.errstate(over="ignore"):
            made: Array = wide.astype(np.float16)
        if not np.isfinite(made).all() and np.isfinite(wide).all():
            raise OverflowError("a weight is too large for float16")
        return made
    bits = wide.view(np.uint32)
    # To the nearest, and to the even one of two; NaN stays NaN.
    rounded = (bits + (0x7FFF + ((bits >> _BFLOAT16) & 1))) >> _BFLOAT16
    return np.where(np.isnan(wide), (bits >> _BFLOAT16) | 0x40, rounded).astype(np.uint16)
