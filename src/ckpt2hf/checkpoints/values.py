"""The values that exist only while a pickle is read: names of things that are not imported, and storages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.checkpoint import Record
from ckpt2hf.tensors import TensorRef

if TYPE_CHECKING:
    from ckpt2hf.files import Span
    from ckpt2hf.tensors import DType

MAX_INT_BITS = 128
MAX_SHOWN = 200
MAX_NAME = 1024
"""Characters of the longest module or class name believed."""
UNSUPPORTED_TENSOR = "torch.Tensor"
"""`class_name` of the record that stands for a tensor which cannot be described as a strided window."""
NUMPY_ARRAY = "numpy.ndarray"
"""`class_name` of the record that stands for a NumPy array."""
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Protocols 0 to 2 write the names Python 2 had."""


@dataclass(frozen=True, slots=True)
class Global:
    """The name of a class or function; the thing itself is never looked up."""

    module: str
    name: str

    @property
    def dotted(self) -> str:
        """Such as `torch._utils._rebuild_tensor_v2`."""
        return f"{self.module}.{self.name}"

    @classmethod
    def checked(cls, module: object, name: object) -> Global:
        """A name as a pickle gives it. Raises ValueError unless both parts are short, printable text."""
        for part in (module, name):
            if not isinstance(part, str) or not 0 < len(part) <= MAX_NAME or not part.isprintable():
                raise ValueError("a class name in the pickle is not a name")
        return cls(_RENAMED.get(str(module), str(module)), str(name))


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of elements in the file. `dtype` is None for a type without a counterpart here (quantized, complex128)."""

    span: Span
    dtype: DType | None
    torch_name: str


def unsupported(why: str, **facts: object) -> Record:
    """A tensor that exists in the file, but not as a strided window of plain numbers."""
    return Record(UNSUPPORTED_TENSOR, fields={"why": why, **facts})


def hashable(key: object, limit: int = 64) -> bool:
    """Whether a value may be a dict key or set member at a cost that is bounded: tuples hash all they contain."""
    return _weight(key, limit) <= limit


def _weight(key: object, limit: int) -> int:
    if isinstance(key, tuple):
        total = 1
        for part in key:
            total += _weight(part, limit - total)
            if total > limit:
                break
        return total
    plain = key is None or isinstance(
        key, str | bytes | memoryview | int | float | complex | Global | Record | TensorRef
    )
    return 1 if plain else limit + 1


def label(key: object) -> str:
    """A dict key as text, at a cost that is bounded: a record's own text may be endless."""
    if isinstance(key, str):
        return key
    if isinstance(key, int) and key.bit_length() > MAX_INT_BITS:
        return "a large number"
    if isinstance(key, Global):
        return key.dotted
    if isinstance(key, Record):
        return key.class_name
    if isinstance(key, tuple):
        return f"({', '.join(map(label, key[:8]))})"
    return str(bytes(key) if isinstance(key, memoryview) else key)


def shown(text: str) -> str:
    """Text of a file as it may appear in a message: short, nothing a terminal would act on."""
    return text if text.isprintable() and len(text) <= MAX_SHOWN else ascii(text)[:MAX_SHOWN]
