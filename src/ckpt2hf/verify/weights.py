"""Slots as torch tensors, sharing memory with the mapped file wherever the type allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.tensors import Array, Readable

_CARRIERS: Mapping[DType, tuple[type[np.generic], torch.dtype]] = {
    DType.BF16: (np.int16, torch.bfloat16),
    DType.F8_E4M3: (np.uint8, torch.float8_e4m3fn),
    DType.F8_E5M2: (np.uint8, torch.float8_e5m2),
}
"""Types torch does not take from NumPy: the bits travel as integers and are then called by their name."""


def load_slots(slots: Mapping[str, Readable], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Every slot as a tensor of `dtype`. Tensors of that type already are views: never write into them."""
    return {name: tensor(slot).to(dtype) for name, slot in slots.items()}


def tensor(readable: Readable) -> torch.Tensor:
    """All elements in their own type, as a view where the memory allows one. Never write into it."""
    meta = readable.meta
    array = np.asarray(readable.read(tuple(slice(0, n) for n in meta.shape)))  # 0-d reads as a NumPy scalar
    if not array.flags.aligned or not array.dtype.isnative or any(stride < 0 for stride in array.strides):
        array = np.array(array, dtype=array.dtype.newbyteorder("="))
    carrier, name = _CARRIERS.get(meta.dtype, (None, None))
    if carrier is None or name is None:
        return torch.from_numpy(_unguarded(array))
    if not array.ndim:
        return torch.from_numpy(array.reshape(1).view(carrier).copy()).view(name).reshape(())
    return torch.from_numpy(_unguarded(array, np.dtype(carrier))).view(name)


class _Window:
    """The memory of an array under another dtype and without its read-only flag."""

    def __init__(self, array: Array, dtype: np.dtype[Any]) -> None:
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        interface["typestr"] = dtype.str
        interface.pop("descr", None)
        self.__array_interface__ = interface
        self.owner = array


def _unguarded(array: Array, dtype: np.dtype[Any] | None = None) -> Array:
    """The same memory without NumPy's read-only flag.

    torch has no read-only tensors and warns about such arrays; nothing in this package writes into a weight, and the
    pages of a mapped file would refuse it.
    """
    kind = array.dtype if dtype is None else dtype
    if array.flags.writeable and kind == array.dtype:
        return array
    if not array.size:
        return np.empty(array.shape, kind)
    return np.asarray(_Window(array, kind))
