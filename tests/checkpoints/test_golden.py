"""Files that real codebases saved are read as they are: torch.load is the judge where it can read them."""

from __future__ import annotations

import json
import pickle
from typing import TYPE_CHECKING, Any

import torch

from ckpt2hf.checkpoints import open_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.tensors import TensorRef


def test_every_golden_checkpoint_is_read(every_golden: Any, equal: Callable[[TensorRef, torch.Tensor], bool]) -> None:
    checkpoint = open_checkpoint(every_golden.path)
    case = json.loads((every_golden.path.parent / "case.json").read_text())
    prefix = "".join(checkpoint.prefixes)
    key = f"{checkpoint.weights_key}." if checkpoint.weights_key else ""
    found = {key + prefix + name: str(ref.meta) for name, ref in checkpoint.tensors.items()}
    said = case.get("checkpoint_keys") or {key + name: _in_our_words(meta) for name, meta in case["keys"].items()}
    assert found == {name: meta for name, meta in said.items() if name.startswith(key) and "[" in meta}
    try:
        loaded = torch.load(every_golden.path, weights_only=True)
    except (pickle.UnpicklingError, IsADirectoryError, PermissionError):
        return  # a class of its own in the file, or a directory: the names, shapes and types above are the judge
    state = loaded[checkpoint.weights_key] if key else loaded
    assert [prefix + name for name in checkpoint.tensors] == list(state)
    assert all(equal(ref, state[prefix + name]) for name, ref in checkpoint.tensors.items())


def _in_our_words(meta: str) -> str:
    """`float32[288, 48]` as `[288, 48] float32`: cases of Llama's kin are written so."""
    kind, _, shape = meta.partition("[")
    return f"[{shape} {kind}"
