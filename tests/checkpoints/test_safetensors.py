"""safetensors headers: what the library writes is read, what it would refuse is refused."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError
from ckpt2hf.tensors import DType

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.tensors import TensorRef

ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def packed(header: object, data: int = 24) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)


def opened(tmp_path: Path, data: bytes) -> Any:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    return open_checkpoint(path)


def test_every_element_type_is_read(tmp_path: Path, equal: Callable[[TensorRef, torch.Tensor], bool]) -> None:
    state = {d.value: torch.arange(6).reshape(2, 3).to(getattr(torch, d.torch_name)) for d in DType}
    state |= {"scalar": torch.tensor(2.5), "empty": torch.empty(0, 3)}
    checkpoint = opened(tmp_path, save(state, {"format": "pt", "n_head": "3"}))
    assert set(checkpoint.tensors) == set(state)
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())
    assert checkpoint.container == "safetensors file"
    assert checkpoint.lookup("safetensors.n_head") == "3"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x00" * 7, "shorter"),
        (struct.pack("<Q", 1 << 40) + b"{}", "truncated"),
        (packed(b"{not json"), "double quotes"),
        (packed(b"{" * 100_000), ""),
        (packed(b'{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"a":{}}'), "twice"),
        (packed({"a": ENTRY, "b": ENTRY}), "overlaps"),
        (packed({"a": ENTRY}, 20), "outside the file"),
        (packed({"a": ENTRY | {"shape": [2, 4]}}), "24 bytes are declared"),
        (packed({"a": ENTRY | {"shape": [-2, -3]}}), "whole numbers"),
        (packed({"a": ENTRY | {"shape": [2, True]}}), "whole numbers"),
        (packed({"a": ENTRY | {"data_offsets": [24, 0]}}), "outside"),
        (packed({"a": ENTRY | {"dtype": "F31"}}), "F31"),
        (packed({"a": {"dtype": "F32"}}), "incomplete"),
        (packed({"a": 3}), "incomplete"),
        (packed({"a": ENTRY, "__metadata__": {"x": 1}}), "strings"),
    ],
)
def test_broken_headers_are_refused(data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as error:
        opened(tmp_path, data)
    assert said in str(error.value)
