"""The pickle says what PyTorch's own would, also about sizes no test could store."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
import torch

from ckpt2hf.output.state_dict_pickle import state_dict_pickle
from ckpt2hf.tensors import DType, Meta


class Described(pickle.Unpickler):
    """Describes tensors in place of making them."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch._utils":
            return lambda *args: (name, *args)
        return getattr(torch.storage if module == "torch.storage" else torch, name, None) or super().find_class(
            module, name
        )

    def persistent_load(self, pid: Any) -> Any:
        return pid


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32, 2**33 + 5])
def test_any_size(size: int) -> None:
    loaded = Described(io.BytesIO(state_dict_pickle({"ə": Meta((size, 3), DType.BF16)}))).load()
    storage = ("storage", torch.BFloat16Storage, "0", "cpu", 3 * size)
    assert loaded == {"ə": ("_rebuild_tensor_v2", storage, 0, (size, 3), (3, 1), False, {})}


def test_types_without_a_storage_class_of_their_own() -> None:
    loaded = Described(io.BytesIO(state_dict_pickle({"x": Meta((5,), DType.U32)}))).load()
    storage = ("storage", torch.UntypedStorage, "0", "cpu", 20)
    assert loaded == {"x": ("_rebuild_tensor_v3", storage, 0, (5,), (1,), False, {}, torch.uint32)}


def test_no_tensors() -> None:
    assert Described(io.BytesIO(state_dict_pickle({}))).load() == {}
