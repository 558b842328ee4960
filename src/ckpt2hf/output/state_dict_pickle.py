"""The `data.pkl` of a PyTorch file: a state dict in which every tensor points to a storage kept beside it.

A checkpoint's own file may hold plain values around it, and second names for a tensor, which share its storage.

Source: pytorch/pytorch v2.6 `torch/_utils.py` (`_rebuild_tensor_v2`, `_rebuild_tensor_v3`), `torch/serialization.py`
(`persistent_id`), `torch/_weights_only_unpickler.py` (the opcodes that `weights_only=True` accepts).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.errors import BrokenPromiseError
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

_MARK, _TUPLE, _EMPTY_TUPLE, _REDUCE, _PERSISTENT, _NONE, _TRUE, _FALSE = (
    b"(",
    b"t",
    b")",
    b"R",
    b"Q",
    b"N",
    b"\x88",
    b"\x89",
)
_DICT, _SETITEMS, _LIST, _APPENDS, _STOP = b"}", b"u", b"]", b"e", b"."
_SMALLEST = -(1 << 31)


@dataclass(frozen=True, slots=True)
class Content:
    """What a checkpoint's file holds besides its tensors, and where among it they are."""

    weights: str = ""
    """The dotted path of the state dict; empty where it is the whole file."""
    beside: Mapping[str, object] = field(default_factory=dict)
    """Plain values by dotted path: numbers, text, lists, tuples, tables."""
    same: Mapping[str, str] = field(default_factory=dict)
    """Second names of tensors: each shares the storage of the tensor it is mapped to."""

    def tree(self) -> dict[str, object]:
        """The file's tree, the state dict first; `WEIGHTS` stands for it."""
        top: dict[str, object] = {}
        for path, value in {self.weights: WEIGHTS, **self.beside}.items():
            node, *rest = path.split(".")[::-1]
            at = top
            for part in reversed(rest):
                inner = at.setdefault(part, {})
                if not isinstance(inner, dict):
                    raise BrokenPromiseError(f"{path} lies inside a value")
                at = inner
            at[node] = value
        return top


WEIGHTS = object()
"""The place of the state dict in a tree."""


def state_dict_pickle(metas: Mapping[str, Meta], content: Content | None = None) -> bytes:
    """An OrderedDict of contiguous tensors on the CPU, the k-th of which fills the storage `k`; pickle protocol 2.

    With a `content` that says so, it is inside a tree of plain values.
    """
    return _Emitter(metas, content or Content()).file()


class _Emitter:
    """Writes opcodes; a global is spelled once and recalled from the memo after that."""

    def __init__(self, metas: Mapping[str, Meta], content: Content) -> None:
        """An empty memo."""
        self._metas, self._content = metas, content
        self._memo: dict[str, int] = {}

    def file(self) -> bytes:
        """The whole pickle."""
        whole = self._content.tree() if self._content.weights else WEIGHTS
        return b"".join([b"\x80\x02", self._value(whole), _STOP])

    def _value(self, value: object) -> bytes:  # noqa: PLR0911 - one line a kind
        """A plain value, or the state dict in its place."""
        if value is WEIGHTS:
            return self._state_dict()
        if value is None:
            return _NONE
        if isinstance(value, bool):
            return _TRUE if value else _FALSE
        if isinstance(value, int):
            return _int(value)
        if isinstance(value, float):
            return b"G" + struct.pack(">d", value)
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, dict):
            parts = [self._value(part) for item in value.items() for part in item]
            return b"".join([_DICT, _MARK, *parts, _SETITEMS])
        if isinstance(value, list | tuple):
            inside = b"".join(self._value(part) for part in value)
            tupled = isinstance(value, tuple)
            return b"".join([_MARK, inside, _TUPLE] if tupled else [_LIST, _MARK, inside, _APPENDS])
        raise BrokenPromiseError(f"a checkpoint cannot hold a {type(value).__name__}")

    def _state_dict(self) -> bytes:
        """Every tensor by its name, then the second names."""
        keys = {name: key for key, name in enumerate(self._metas)}
        parts = [self._ordered_dict()]
        if keys:
            parts.append(_MARK)
            for name, holder in {**{name: name for name in keys}, **self._content.same}.items():
                parts += [_text(name), self._tensor(keys[holder], self._metas[holder])]
            parts.append(_SETITEMS)
        return b"".join(parts)

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
    """An integer, in the shortest of its spellings."""
    if 0 <= value < 1 << 8:
        return b"K" + bytes([value])
    if 0 <= value < 1 << 16:
        return b"M" + struct.pack("<H", value)
    if _SMALLEST <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def _text(value: str) -> bytes:
    """A string."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data
