"""What the tests of reading share: ways to save, and how a reference is compared with a tensor."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.checkpoints.cursor import Budget, Cursor
from ckpt2hf.checkpoints.unpickling import unpickle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.checkpoints import Checkpoint
    from ckpt2hf.tensors import TensorRef


class NoStorages:
    """A pickle without tensors."""

    def persistent(self, identity: object) -> object:
        raise ValueError(identity)

    def nested(self, blob: object) -> Any:
        raise ValueError(blob)


def value_of(data: bytes, budget: Budget | None = None) -> object:
    return unpickle(Cursor(memoryview(data)), NoStorages(), budget or Budget(), where="test")


def elements(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().contiguous().reshape(-1)
    return b"" if not flat.numel() else flat.view(torch.uint8).numpy().tobytes()


def same(ref: TensorRef, tensor: torch.Tensor) -> bool:
    """Shape, element type and every bit."""
    array = ref.load()
    return (
        array.shape == tuple(tensor.shape)
        and f"torch.{ref.meta.dtype.torch_name}" == str(tensor.dtype)
        and np.ascontiguousarray(array).tobytes() == elements(tensor)
    )


@pytest.fixture
def unpickled() -> Callable[..., object]:
    """The inert value of the bytes of a pickle."""
    return value_of


@pytest.fixture
def equal() -> Callable[[TensorRef, torch.Tensor], bool]:
    """Whether a reference holds exactly a tensor."""
    return same


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Checkpoint]:
    """An object saved with torch.save and opened again."""

    def save(obj: object, *, weights_key: str | None = None, name: str = "ckpt.pt", **how: Any) -> Checkpoint:
        path = tmp_path / name
        torch.save(obj, path, **how)
        return open_checkpoint(path, weights_key=weights_key)

    return save


@pytest.fixture
def pickled(tmp_path: Path) -> Callable[..., Checkpoint]:
    """An object saved with pickle.dump and opened again."""

    def save(obj: object, protocol: int = 4) -> Checkpoint:
        path = tmp_path / "model.pkl"
        path.write_bytes(pickle.dumps(obj, protocol))
        return open_checkpoint(path)

    return save


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    """A small state_dict."""
    generator = torch.Generator().manual_seed(1)
    return {
        "wte.weight": torch.randn(7, 5, generator=generator),
        "h.0.fc.weight": torch.randn(3, 5, generator=generator),
        "h.0.fc.bias": torch.randn(3, generator=generator),
    }
