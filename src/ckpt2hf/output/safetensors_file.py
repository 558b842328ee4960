"""The layout of a `.safetensors` file: a JSON header, then the tensors end to end.

Source: huggingface/safetensors v0.5 `safetensors/src/tensor.rs`: eight bytes of header length, the header padded with
spaces to a multiple of eight, tensors sorted by type (the most aligned first), then by name. The result is the file
that library writes, byte for byte.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ckpt2hf.output.weight_file import WeightFile
from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ckpt2hf.tensors import Meta

_ORDER = "U64 I64 F64 C64 F32 U32 I32 BF16 F16 U16 I16 F8_E4M3 F8_E5M2 I8 U8 BOOL"
_RANK = {DType(name): rank for rank, name in enumerate(_ORDER.split())}


def safetensors_file(path: Path, metas: Mapping[str, Meta]) -> WeightFile:
    """Where everything lies in the file at `path`; its metadata is `{"format": "pt"}`, which transformers asks for."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    starts, end = {}, 0
    for name in sorted(metas, key=lambda name: (_RANK[metas[name].dtype], name)):
        meta = metas[name]
        starts[name], start, end = end, end, end + meta.nbytes
        header[name] = {"dtype": meta.dtype.value, "shape": meta.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    offsets = {name: len(head) + start for name, start in starts.items()}
    return WeightFile(path, len(head) + end, offsets, lambda _crcs: [(0, head)])
