"""A tensor described, not loaded: its type, its shape, and where its bytes lie in mapped files."""

from __future__ import annotations

import abc
import enum
import math
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ckpt2hf.errors import CheckpointError
from ckpt2hf.files import Span

Array: TypeAlias = NDArray[Any]
"""Elements of any type."""

Box: TypeAlias = tuple[slice, ...]
"""A rectangular part of a tensor: one slice with explicit, in-range bounds and step 1 per axis."""


class DType(enum.Enum):
    """An element type; the value is its safetensors name."""

    BOOL = "BOOL"
    U8 = "U8"
    I8 = "I8"
    I16 = "I16"
    U16 = "U16"
    I32 = "I32"
    U32 = "U32"
    I64 = "I64"
    U64 = "U64"
    F8_E4M3 = "F8_E4M3"
    F8_E5M2 = "F8_E5M2"
    F16 = "F16"
    BF16 = "BF16"
    F32 = "F32"
    F64 = "F64"
    C64 = "C64"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The little-endian NumPy type that holds one element."""
        return _NUMPY.get(self) or _extra(self)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.numpy.itemsize

    @property
    def is_float(self) -> bool:
        """Whether the elements are real floating-point numbers."""
        return self.value[0] in "FB" and self is not DType.BOOL

    @property
    def torch_name(self) -> str:
        """The name PyTorch gives the type, without `torch.`."""
        return _TORCH[self]

    @classmethod
    def from_torch(cls, name: str) -> DType:
        """The type PyTorch calls `name` (without `torch.`); KeyError for one we cannot hold."""
        return _FROM_TORCH[name]


_NUMPY: dict[DType, np.dtype[Any]] = {
    DType.BOOL: np.dtype(np.bool_),
    DType.U8: np.dtype("u1"),
    DType.I8: np.dtype("i1"),
    DType.I16: np.dtype("<i2"),
    DType.U16: np.dtype("<u2"),
    DType.I32: np.dtype("<i4"),
    DType.U32: np.dtype("<u4"),
    DType.I64: np.dtype("<i8"),
    DType.U64: np.dtype("<u8"),
    DType.F16: np.dtype("<f2"),
    DType.F32: np.dtype("<f4"),
    DType.F64: np.dtype("<f8"),
    DType.C64: np.dtype("<c8"),
}
_EXTRA = {DType.F8_E4M3: "float8_e4m3fn", DType.F8_E5M2: "float8_e5m2", DType.BF16: "bfloat16"}


@cache
def _extra(dtype: DType) -> np.dtype[Any]:
    """A type that NumPy lacks. An interpreter that only compares float32 does without the library."""
    import ml_dtypes  # noqa: PLC0415

    made: np.dtype[Any] = np.dtype(getattr(ml_dtypes, _EXTRA[dtype]))
    return made


_TORCH: dict[DType, str] = {
    DType.BOOL: "bool",
    DType.U8: "uint8",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.U16: "uint16",
    DType.I32: "int32",
    DType.U32: "uint32",
    DType.I64: "int64",
    DType.U64: "uint64",
    DType.F8_E4M3: "float8_e4m3fn",
    DType.F8_E5M2: "float8_e5m2",
    DType.F16: "float16",
    DType.BF16: "bfloat16",
    DType.F32: "float32",
    DType.F64: "float64",
    DType.C64: "complex64",
}
_FROM_TORCH = {name: dtype for dtype, name in _TORCH.items()}


@dataclass(frozen=True, slots=True)
class Meta:
    """The shape and element type of a tensor."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, packed."""
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        """Such as `[768, 3072] float32`."""
        return f"[{', '.join(map(str, self.shape))}] {self.dtype.torch_name}"


class Readable(Protocol):
    """Anything that has a shape and a type and can produce any box of its elements."""

    @property
    def meta(self) -> Meta:
        """Shape and element type."""
        ...

    def read(self, box: Box) -> Array:
        """The elements of a box, one slice with explicit bounds per axis. May be a view: never write into it."""
        ...


class Stored(abc.ABC):
    """A tensor of a checkpoint, wherever it lies. It is `Readable`; stored tensors are equal when their places are."""

    __slots__ = ()
    meta: Meta

    @property
    @abc.abstractmethod
    def storages(self) -> tuple[Span, ...]:
        """The storages its elements come from, each once."""

    @property
    @abc.abstractmethod
    def extents(self) -> tuple[Span, ...]:
        """Where its elements lie, from the first to the last of each part."""

    @abc.abstractmethod
    def read(self, box: Box) -> Array:
        """The elements of a box. May be a view: never write into it. Only the bytes it needs are used."""

    def load(self) -> Array:
        """All elements; read-only."""
        return self.read(whole(self.meta.shape))

    @property
    def is_inflated(self) -> bool:
        """Whether it is larger than what is stored of it: it repeats some numbers."""
        return self.meta.nbytes > sum(storage.nbytes for storage in self.storages)

    def same_place(self, other: Stored) -> bool:
        """Whether both are the very same window of the very same bytes: tied by storage."""
        return self == other


@dataclass(frozen=True, slots=True)
class TensorRef(Stored):
    """A strided window into a storage.

    `offset` and `strides` count elements from the start of `storage`, as PyTorch does. The window is checked to lie
    inside the storage when the reference is made.
    """

    meta: Meta
    storage: Span
    offset: int
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse a window that leaves its storage. Raises CheckpointError."""
        shape, item = self.meta.shape, self.meta.dtype.itemsize
        if len(shape) != len(self.strides) or any(n < 0 for n in (*shape, *self.strides, self.offset)):
            raise CheckpointError(
                "a tensor has a negative or inconsistent shape, stride or offset",
                details=[f"shape {shape}, strides {self.strides}, offset {self.offset}"],
                where=str(self.storage.file.path),
            )
        last = self.offset + sum((n - 1) * stride for n, stride in zip(shape, self.strides, strict=True))
        if self.meta.size and (last + 1) * item > self.storage.nbytes:
            raise CheckpointError(
                "a tensor reaches past the end of its storage",
                details=[
                    f"shape {shape}, strides {self.strides}, offset {self.offset}",
                    f"needs {(last + 1) * item} bytes, the storage has {self.storage.nbytes}",
                ],
                where=str(self.storage.file.path),
            )

    @classmethod
    def packed(cls, meta: Meta, storage: Span) -> TensorRef:
        """A tensor that fills its storage in row-major order."""
        return cls(meta, storage, 0, packed_strides(meta.shape))

    def read(self, box: Box) -> Array:
        """The elements of a box, as a read-only view: only the bytes from the first to the last are used."""
        shape, dtype = tuple(part.stop - part.start for part in box), self.meta.dtype.numpy
        if 0 in shape:
            return np.empty(shape, dtype)
        first = self.offset + sum(part.start * stride for part, stride in zip(box, self.strides, strict=True))
        last = first + sum((n - 1) * stride for n, stride in zip(shape, self.strides, strict=True))
        item = dtype.itemsize
        view = self.storage.part(first * item, (last - first + 1) * item)
        return np.ndarray(shape, dtype, view, 0, tuple(stride * item for stride in self.strides))

    @property
    def storages(self) -> tuple[Span, ...]:
        """The one storage."""
        return (self.storage,)

    @property
    def extents(self) -> tuple[Span, ...]:
        """Where its elements lie, from the first to the last."""
        item = self.meta.dtype.itemsize
        last = sum((n - 1) * stride for n, stride in zip(self.meta.shape, self.strides, strict=True))
        start, nbytes = (self.offset * item, (last + 1) * item) if self.meta.size else (0, 0)
        return (Span(self.storage.file, self.storage.start + start, nbytes),)


def whole(shape: tuple[int, ...]) -> Box:
    """The box that is all of a tensor."""
    return tuple(slice(0, n) for n in shape)


def packed_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides of a shape, in elements."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))
