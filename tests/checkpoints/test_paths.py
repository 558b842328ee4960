"""Whatever a path names: a checkpoint, shards, a directory of them, settings beside it, or something else."""

from __future__ import annotations

import gzip
import json
import tarfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import save_file

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ckpt2hf.tensors import TensorRef

    Equal = Callable[[TensorRef, torch.Tensor], bool]
    State = dict[str, torch.Tensor]


def sharded(folder: Path, state: State, kind: str) -> Path:
    """Two shards and their index, as transformers names them."""
    names = list(state)
    stem = "model" if kind == "safetensors" else "pytorch_model"
    weight_map = {}
    for number, part in enumerate((names[:1], names[1:]), 1):
        file = f"{stem}-0000{number}-of-00002.{kind}"
        tensors = {name: state[name] for name in part}
        weight_map |= dict.fromkeys(part, file)
        if kind == "safetensors":
            save_file(tensors, folder / file)
        else:
            torch.save(tensors, folder / file)
    index = folder / f"{stem}.{kind}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("by_folder", [True, False])
def test_shards_are_one_checkpoint(kind: str, by_folder: bool, tmp_path: Path, state: State, equal: Equal) -> None:
    index = sharded(tmp_path, state, kind)
    checkpoint = open_checkpoint(tmp_path if by_folder else index)
    assert list(checkpoint.tensors) == list(state)
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in state.items())
    assert len(checkpoint.files) == 2
    assert checkpoint.container.startswith("sharded")


def changed(index: Path, change: Callable[[dict[str, str]], object]) -> Path:
    content = json.loads(index.read_text())
    change(content["weight_map"])
    index.write_text(json.dumps(content))
    return index


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.pop("wte.weight"), "model-00001-of-00002.safetensors"),
        (lambda m: m.pop("h.0.fc.bias"), "h.0.fc.bias in model-00002"),
        (lambda m: m.update(other="model-00001-of-00002.safetensors"), "other should be in model-00001"),
        (lambda m: m.update(other="model-00003-of-00003.safetensors"), "model-00003-of-00003.safetensors is missing"),
        (lambda m: m.update(other="../secret.safetensors"), "path to somewhere else"),
        (lambda m: m.update(other="/secret.safetensors"), "path to somewhere else"),
        (lambda m: m.clear(), "no weight_map"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(
    change: Callable[[dict[str, str]], object], said: str, tmp_path: Path, state: State
) -> None:
    index = changed(sharded(tmp_path, state, "safetensors"), change)
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(index)
    assert said in str(error.value)


def test_shards_without_their_index_are_refused(tmp_path: Path, state: State) -> None:
    sharded(tmp_path, state, "safetensors").unlink()
    with pytest.raises(CheckpointError, match="no index"):
        open_checkpoint(tmp_path)


def accelerated(folder: Path, *models: torch.nn.Module, safe: bool = True) -> Path:
    accelerator = Accelerator(cpu=True)
    prepared = accelerator.prepare(*models, torch.optim.AdamW(models[0].parameters()))
    assert prepared
    accelerator.save_state(str(folder), safe_serialization=safe)
    accelerator.free_memory()
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("safe", [True, False])
def test_an_accelerate_state(safe: bool, tmp_path: Path, equal: Equal) -> None:
    model = torch.nn.Linear(2, 3)
    checkpoint = open_checkpoint(accelerated(tmp_path / "state", model, safe=safe))
    assert checkpoint.container == "accelerate directory"
    assert checkpoint.files[0].name == ("model.safetensors" if safe else "pytorch_model.bin")
    assert all(equal(checkpoint.tensors[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.filterwarnings("ignore")
def test_an_accelerate_state_of_two_models(tmp_path: Path) -> None:
    folder = accelerated(tmp_path / "state", torch.nn.Linear(2, 3), torch.nn.Linear(4, 5))
    with pytest.raises(UsageError, match="2 models") as error:
        open_checkpoint(folder)
    assert error.value.remedies == ("--weights-key model", "--weights-key model_1")
    assert open_checkpoint(folder, weights_key="model_1").tensors["weight"].meta.shape == (5, 4)


def test_a_hugging_face_directory_gives_safetensors(tmp_path: Path, state: State) -> None:
    save_file(state, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    torch.save({}, tmp_path / "training_args.bin")
    (tmp_path / "config.json").write_text('{"n_head": 3}')
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.files == (tmp_path / "model.safetensors",)
    assert checkpoint.side == {"config.json": {"n_head": 3}}


def test_a_directory_with_one_checkpoint_is_that_checkpoint(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "ckpt.pt")
    for name in ("train.bin", "val.bin", "meta.pkl", "notes.txt", "optimizer.pt", "rng_state_0.pth"):
        (tmp_path / name).write_bytes(b"x")
    assert open_checkpoint(tmp_path).files == (tmp_path / "ckpt.pt",)
    torch.save(state, tmp_path / "best.pt")
    with pytest.raises(UsageError, match="2 checkpoints") as error:
        open_checkpoint(tmp_path)
    assert error.value.details == ("best.pt", "ckpt.pt")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "files: none"),
        (["readme.md", "train.bin"], "readme.md, train.bin"),
        ([".metadata", "__0_0.distcp"], "its index is damaged"),
        (["__0_0.distcp"], "its index .metadata is missing"),
        (["saved_model.pb"], "TensorFlow"),
        (["m.index", "m.data-00000-of-00001"], "TensorFlow"),
    ],
)
def test_directories_without_a_checkpoint(names: list[str], said: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(tmp_path)
    assert said in str(error.value)


def test_settings_beside_the_checkpoint(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "ckpt.pt")
    assert open_checkpoint(tmp_path / "ckpt.pt").side == {}
    (tmp_path / "ckpt2hf.toml").write_text("[set]\nheads = 3\n")
    (tmp_path / "config.json").write_text('{"a": {"b": [1]}}')
    side = open_checkpoint(tmp_path / "ckpt.pt").side
    assert side == {"ckpt2hf.toml": {"set": {"heads": 3}}, "config.json": {"a": {"b": [1]}}}


@pytest.mark.parametrize(
    ("name", "text", "kind", "said"),
    [
        ("config.json", '{\n"a": }', CheckpointError, "line 2"),
        ("config.json", "[1]", CheckpointError, "no table"),
        ("config.json", "[" * 100_000, CheckpointError, "config.json"),
        ("config.json", " " * (1 << 20) + "{}", CheckpointError, "larger than"),
        ("ckpt2hf.toml", "a = 1\nb = = 2", UsageError, "line 2"),
        ("ckpt2hf.toml", "\udcff", UsageError, "ckpt2hf.toml"),
    ],
)
def test_broken_settings_are_named(
    name: str, text: str, kind: type[Exception], said: str, tmp_path: Path, state: State
) -> None:
    torch.save(state, tmp_path / "ckpt.pt")
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(kind) as error:
        open_checkpoint(tmp_path / "ckpt.pt")
    assert said in str(error.value)


def tar(path: Path) -> None:
    with tarfile.open(path, "w"):
        pass
    path.write_bytes(b"pickle".ljust(257, b"\0") + b"ustar" + path.read_bytes())


FOREIGN: dict[str, tuple[str, bytes | Callable[[Path], Any], str]] = {
    "empty": ("a.pt", b"", "an empty file"),
    "html": ("a.pt", b"<!DOCTYPE html>\n<html>", "a web page"),
    "html 2": ("a.pt", b"\n  <HTML>", "a web page"),
    "lfs": ("a.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
    "text": ("a.pt", b"hello world, this is text\n", "a text file"),
    "json": ("a.pt", b'{"a": 1}', "a JSON file"),
    "tar": ("a.pt", tar, "a tar archive"),
    "gzip": ("a.pt", gzip.compress(b"x"), "a gzip archive"),
    "npy": ("a.npy", lambda path: np.save(path, np.ones(3)), "a NumPy array"),
    "npz": ("a.npz", lambda path: np.savez(path, a=np.ones(3)), ".npz archive"),
    "npz compressed": ("a.npz", lambda path: np.savez_compressed(path, a=np.ones(3)), ".npz archive"),
    "gguf": ("a.gguf", b"GGUF\3\0\0\0", "a GGUF model"),
    "hdf5": ("a.h5", b"\x89HDF\r\n\x1a\n\0", "an HDF5 file"),
    "onnx": ("a.onnx", b"\x08\x08\x12\x07pytorch\x1a", "an ONNX model"),
    "llm.c": ("a.bin", (20240326).to_bytes(4, "little") + bytes(1020), "llm.c weights file cannot be read"),
    "noise": ("a.pt", bytes(range(1, 200)), "no format that is known"),
    "zip": ("a.pt", b"PK\x05\x06" + bytes(18), "not made by torch.save"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_files_that_are_no_checkpoint_are_recognised(name: str, tmp_path: Path) -> None:
    file, content, said = FOREIGN[name]
    path = tmp_path / file
    path.write_bytes(content) if isinstance(content, bytes) else content(path)
    with pytest.raises(CheckpointError) as error:
        open_checkpoint(path)
    assert said in str(error.value)
    assert error.value.remedies


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "ckpt.pt").write_bytes(b"x")
    with pytest.raises(NotFoundError) as error:
        open_checkpoint(tmp_path / "ckp.pt")
    assert f"did you mean {tmp_path / 'ckpt.pt'} ?" in error.value.remedies
    with pytest.raises(NotFoundError, match="not there"):
        open_checkpoint(tmp_path / "missing" / "ckpt.pt")
    with pytest.raises(NotFoundError):
        open_checkpoint(tmp_path / ("x" * 5000))
    with pytest.raises(NotFoundError):
        open_checkpoint(tmp_path / "nul\0byte")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    import os  # noqa: PLC0415

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="neither a file nor a directory"):
        open_checkpoint(tmp_path / "pipe")


def test_one_shard_of_several_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    for k in (1, 2):
        save_file({f"w{k}": torch.zeros(2)}, tmp_path / f"model-0000{k}-of-00002.safetensors")
    shard = tmp_path / "model-00001-of-00002.safetensors"
    with pytest.raises(CheckpointError, match="one part of a checkpoint") as refused:
        open_checkpoint(shard)
    assert refused.value.details == ("model-00002-of-00002.safetensors",)
    (tmp_path / "model.safetensors.index.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="one part") as refused_with_index:
        open_checkpoint(shard)
    assert refused_with_index.value.remedies == (str(tmp_path / "model.safetensors.index.json"),)


def test_one_rank_of_several_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "consolidated.00.pth")
    assert set(open_checkpoint(tmp_path / "consolidated.00.pth").tensors) == {"w"}
    torch.save({"w": torch.zeros(2)}, tmp_path / "consolidated.01.pth")
    with pytest.raises(UsageError, match="one part") as refused:
        open_checkpoint(tmp_path / "consolidated.00.pth")
    assert refused.value.remedies == (f"name the directory: {tmp_path}",)
    for rank in (0, 1):
        torch.save({"w": torch.zeros(2)}, tmp_path / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
    with pytest.raises(CheckpointError, match="one part"):
        open_checkpoint(tmp_path / "zero_pp_rank_0_mp_rank_00_model_states.pt")
