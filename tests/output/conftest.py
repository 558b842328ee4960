"""Arrays as tensors that can be read box by box, and what both PyTorch and safetensors read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.output import WeightFormat, WeightOptions, write_weights
from ckpt2hf.tensors import DType, Meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.output import WrittenWeights
    from ckpt2hf.tensors import Array, Box

BOTH = tuple(WeightFormat)


@dataclass(frozen=True)
class Held:
    """An array as a tensor, in whatever memory order it has."""

    array: Array

    @property
    def meta(self) -> Meta:
        kinds = {dtype.numpy: dtype for dtype in DType}
        return Meta(self.array.shape, kinds[self.array.dtype])

    def read(self, box: Box) -> Array:
        return self.array[box]


@pytest.fixture(scope="session")
def write() -> Callable[..., WrittenWeights]:
    """Writes arrays by name with given options, both formats in one shard unless told otherwise."""

    def written(arrays: Mapping[str, Array], directory: Path, **options: Any) -> WrittenWeights:
        progress = options.pop("progress", lambda _nbytes: None)
        chosen = {"formats": BOTH, "max_shard_bytes": None, "threads": 2, **options}
        tensors = {name: Held(array) for name, array in arrays.items()}
        return write_weights(tensors, directory, WeightOptions(**chosen), progress)

    return written


@pytest.fixture(scope="session")
def same() -> Callable[[torch.Tensor, Array], bool]:
    """Whether a PyTorch tensor has the type, the shape and the very bits of an array."""

    def equal(tensor: torch.Tensor, array: Array) -> bool:
        bits = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        kind = str(tensor.dtype).removeprefix("torch.") == Held(array).meta.dtype.torch_name
        return kind and tuple(tensor.shape) == array.shape and bits == np.ascontiguousarray(array).tobytes()

    return equal


@pytest.fixture
def some() -> dict[str, Array]:
    """A few small tensors, one of them in column-major order."""
    numbers = np.random.default_rng(0)
    return {
        "wide": numbers.standard_normal((70, 30), dtype="f4").T,
        "bias": numbers.standard_normal(30, dtype="f4"),
        "steps": np.array(7, "i8"),
        "none": np.empty((0, 3), "f4"),
    }
