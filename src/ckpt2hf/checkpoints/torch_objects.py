"""What PyTorch's pickled tensors, storages and parameters describe.

Source: pytorch/pytorch torch/_utils.py (_rebuild_*), torch/storage.py (_dtype_to_storage_type_map), torch/_tensor.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.values import Global, Storage, unsupported
from ckpt2hf.tensors import DType, Meta, TensorRef

if TYPE_CHECKING:
    from ckpt2hf.checkpoints.checkpoint import Record

MAX_DIMS = 64
"""NumPy's limit."""
MAX_ELEMENTS = 1 << 46
"""Elements of the largest tensor believed; a view with stride 0 may declare any number of them."""

ELEMENT_BYTES = {
    "DoubleStorage": ("float64", 8),
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "UntypedStorage": ("uint8", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
    "QInt8Storage": ("qint8", 1),
    "QUInt8Storage": ("quint8", 1),
    "QInt32Storage": ("qint32", 4),
    "QUInt4x2Storage": ("quint4x2", 1),
    "QUInt2x4Storage": ("quint2x4", 1),
}
"""Storage classes: the element type in PyTorch's words, and bytes per element."""


def storage_type(kind: object) -> tuple[str, int]:
    """The element type (PyTorch's word) and its bytes for a storage class. Raises ValueError for anything else."""
    if not isinstance(kind, Global) or kind.module not in {"torch", "torch.storage", "torch.cuda"}:
        raise ValueError("a storage whose class is not one of PyTorch's")
    try:
        return ELEMENT_BYTES[kind.name]
    except KeyError:
        raise ValueError(f"an unknown storage class, {kind.dotted}") from None


def dtype_or_none(torch_name: str) -> DType | None:
    """The element type PyTorch calls so, None if there is no counterpart here."""
    try:
        return DType.from_torch(torch_name)
    except KeyError:
        return None


def count(value: object) -> int:
    """A whole number that is not negative. Raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"a {type(value).__name__} that is no size or offset where one is needed")
    return value


def _counts(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple | list) or len(values) > MAX_DIMS:
        raise ValueError("a tensor's shape or strides are no short tuple")
    return tuple(count(value) for value in values)


def _window(storage: object, dtype_name: str | None, where: tuple[object, object, object]) -> TensorRef | Record:
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    offset, shape, strides = count(where[0]), _counts(where[1]), _counts(where[2])
    if math.prod(n for n in shape if n) > MAX_ELEMENTS:
        raise ValueError(f"a tensor of shape {shape}")
    name = dtype_name or storage.torch_name
    dtype = dtype_or_none(name) if dtype_name else storage.dtype
    if dtype is None:
        return unsupported(f"its element type is {name}", dtype=name, shape=shape)
    return TensorRef(Meta(shape, dtype), storage.span, offset, strides)


def _flagged(metadata: object) -> bool:
    """Whether the conjugate or negative bit is set: the stored numbers are then not the tensor's."""
    return isinstance(metadata, dict) and any(bool(value) for value in metadata.values())


def rebuild_v2(args: tuple[object, ...]) -> TensorRef | Record:
    """`_rebuild_tensor(_v2)(storage, offset, size, stride, requires_grad, hooks, metadata)`."""
    storage, offset, shape, strides = args[:4]
    if len(args) > 6 and _flagged(args[6]):  # noqa: PLR2004  the seventh argument is the metadata
        return unsupported("it is a lazy conjugate or negative of what is stored", shape=shape)
    return _window(storage, None, (offset, shape, strides))


def rebuild_v3(args: tuple[object, ...]) -> TensorRef | Record:
    """`_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata)`."""
    storage, offset, shape, strides, _, _, dtype = args[:7]
    if len(args) > 7 and _flagged(args[7]):  # noqa: PLR2004  the eighth argument is the metadata
        return unsupported("it is a lazy conjugate or negative of what is stored", shape=shape)
    if not isinstance(dtype, Global) or dtype.module != "torch":
        raise TypeError("a tensor whose element type is no torch.dtype")
    return _window(storage, dtype.name, (offset, shape, strides))


def rebuild_parameter(args: tuple[object, ...]) -> object:
    """`_rebuild_parameter(data, requires_grad, hooks[, state])`: the data."""
    return args[0]


def sparse(args: tuple[object, ...]) -> Record:
    """`_rebuild_sparse_tensor(layout, data)`."""
    layout = args[0].name if args and isinstance(args[0], Global) else "sparse"
    return unsupported(f"its layout is {layout}")


def device(args: tuple[object, ...]) -> str:
    """`torch.device("cuda", 0)` as `cuda:0`."""
    return ":".join(str(part) for part in args if isinstance(part, str | int))


def size(args: tuple[object, ...]) -> tuple[int, ...]:
    """`torch.Size((2, 3))` as a tuple."""
    return _counts(args[0])
