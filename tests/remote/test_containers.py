"""Checkpoints of several files behind a URL: the same tensors, and optimizer state is not fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fsspec
import pytest
import torch
import torch.distributed.checkpoint as dcp

from ckpt2hf.api import Level, Request, Writing, convert, open_checkpoint
from ckpt2hf.remote import path_or_url
from ckpt2hf.remote.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
KIB = 1 << 10


def uploaded(folder: Path, name: str) -> Path:
    """A directory in the store in memory."""
    memory = fsspec.filesystem("memory")
    for path in folder.iterdir():
        memory.pipe_file(f"/{name}/{path.name}", path.read_bytes())
    return path_or_url(f"memory://{name}")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of every read."""
    sizes: list[int] = []
    read = Store.read

    def noting(self: Store, url: str, start: int, nbytes: int, *rest: Any) -> bytes:
        sizes.append(nbytes)
        return read(self, url, start, nbytes, *rest)

    monkeypatch.setattr(Store, "read", noting)
    return sizes


def test_a_distributed_checkpoint_is_converted_without_its_optimizer(
    golden: Callable[[str], Any], asked: list[int], tmp_path: Path
) -> None:
    saved = torch.load(golden("nanogpt_bias").path, weights_only=True)
    moments = {f"state.{k}": torch.zeros(512 * KIB) for k in range(4)}
    state = {"model": saved["model"], "model_args": saved["model_args"], "optim": {**moments, "param_groups": [0]}}
    dcp.save(state, checkpoint_id=str(tmp_path / "step"), no_dist=True)
    said: dict[str, Any] = {"dialect": "nanogpt", "facts": ("activation=gelu",)}
    for source, out in ((uploaded(tmp_path / "step", "step"), "far"), (tmp_path / "step", "near")):
        writing = Writing(out=tmp_path / out, level=Level.BYTES)
        assert convert(Request(source=source, **said), writing).verdict.proved
    far, near = ((tmp_path / out / "model.safetensors").read_bytes() for out in ("far", "near"))
    assert far == near
    weights = sum(tensor.nbytes for tensor in saved["model"].values())
    assert sum(asked) < 2 * weights + (1 << 20)
    assert sum(asked) < (tmp_path / "step" / "__0_0.distcp").stat().st_size / 2


def test_files_of_several_ranks_are_joined(asked: list[int], tmp_path: Path) -> None:
    for rank in (0, 1):
        part = {"norm.weight": torch.ones(256), "output.weight": torch.full((4 * KIB, 256), float(rank))}
        torch.save(part, tmp_path / f"consolidated.0{rank}.pth")
    checkpoint = open_checkpoint(uploaded(tmp_path, "llama"))
    assert sum(asked) < 1 << 20
    output = checkpoint.tensors["output.weight"]
    assert output.meta.shape == (8 * KIB, 256)
    assert output.read((slice(4 * KIB - 1, 4 * KIB + 1), slice(0, 1))).tolist() == [[0.0], [1.0]]
    assert sum(asked) < 2 << 20
