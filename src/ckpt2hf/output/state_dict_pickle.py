"""The `data.pkl` of a PyTorch file: a state dict in which every tensor points to a storage kept beside it.

Source: pytorch/pytorch v2.6 `torch/_utils.py` (`_rebuild_tensor_v2`, `_rebuild_tensor_v3`), `torch/serialization.py`
(`persistent_id`), `torch/_weights_only_unpickler.py` (the opcodes that `weights_only=True` accepts).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ckpt2hf.tensors import DType, packed_strides

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.tensors import Meta

_STORAGES = {
    DType.BOOL: "BoolStorage",
    DType.U8: "ByteStorage",
    DType.I8: "CharStorage",
    DType.I16: "ShortStorage",
    DType.I32: "IntStorage",
    DType.I64: "LongStorage",
    DType.F16: "HalfStorage",
    DType.BF16: "BFloat16Storage",
    DType.F32: "FloatStorage",
    DType.F64: "DoubleStorage",
    DType.C64: "ComplexFloatStorage",
}
"""The types with a storage class of their own; PyTorch stores the others as bytes and names the type apart."""

_MARK, _TUPLE, _EMPTY_TUPLE, _REDUCE, _PERSISTENT, _FALSE, _SETITEMS, _STOP = (
    b"(",
    b"t",
    b")",
    b"R",
    b"Q",
    b"\x89",
    b"u",
    b".",
)


def state_dict_pickle(metas: Mapping[str, Meta]) -> bytes:
    """An OrderedDict of contiguous tensors on the CPU, the k-th of which fills the storage `k`; pickle protocol 2."""
    return _Emitter().state_dict(metas)


class _Emitter:
    """Writes opcodes; a global is spelled once and recalled from the memo after that."""

    def __init__(self) -> None:
        """An empty memo."""
        self._memo: dict[str, int] = {}

    def state_dict(self, metas: Mapping[str, Meta]) -> bytes:
        """The whole pickle."""
        parts = [b"\x80\x02", self._ordered_dict()]
        if metas:
            parts.append(_MARK)
            for key, (name, meta) in enumerate(metas.items()):
                parts += [_text(name), self._tensor(key, meta)]
            parts.append(_SETITEMS)
        return b"".join([*parts, _STOP])

    def _tensor(self, key: int, meta: Meta) -> bytes:
        """A call of PyTorch's rebuild function."""
        storage = _STORAGES.get(meta.dtype)
        rebuild = self._global("torch._utils", "_rebuild_tensor_v2" if storage else "_rebuild_tensor_v3")
        kind = self._global("torch", storage) if storage else self._global("torch.storage", "UntypedStorage")
        length = meta.size if storage else meta.nbytes
        parts = [rebuild, _MARK, _MARK, _text("storage"), kind, _text(str(key)), _text("cpu"), _int(length), _TUPLE]
        parts += [_PERSISTENT, _int(0), _ints(meta.shape), _ints(packed_strides(meta.shape)), _FALSE]
        parts.append(self._ordered_dict())
        if not storage:
            parts.append(self._global("torch", meta.dtype.torch_name))
        return b"".join([*parts, _TUPLE, _REDUCE])

    def _ordered_dict(self) -> bytes:
        """An empty one."""
        return self._global("collections", "OrderedDict") + _EMPTY_TUPLE + _REDUCE

    def _global(self, module: str, name: str) -> bytes:
        """A class or function, by its name."""
        spelled = f"c{module}\n{name}\n"
        if spelled in self._memo:
            return b"h" + bytes([self._memo[spelled]])
        self._memo[spelled] = len(self._memo)
        return spelled.encode() + b"q" + bytes([self._memo[spelled]])


def _ints(values: tuple[int, ...]) -> bytes:
    """A tuple of integers."""
    return b"".join([_MARK, *map(_int, values), _TUPLE])


def _int(value: int) -> bytes:
    """A non-negative integer, in the shortest of its spellings."""
    if value < 1 << 8:
        return b"K" + bytes([value])
    if value < 1 << 16:
        return b"M" + struct.pack("<H", value)
    if value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _text(value: str) -> bytes:
    """A string."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data
