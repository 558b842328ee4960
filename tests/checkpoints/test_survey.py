"""Which file of a directory is the checkpoint, where names leave it open or parts are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from ckpt2hf.checkpoints import ending, open_checkpoint, own_settings, survey
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    State = dict[str, torch.Tensor]


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"raw, and not a checkpoint")


def test_raw_binaries_beside_the_checkpoint_are_passed_over(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "ckpt.pt")
    put(tmp_path, "stories15M.bin", "state_00010_00000.bin", "corpus.pkl")
    assert open_checkpoint(tmp_path).files == (tmp_path / "ckpt.pt",)


def test_a_checkpoint_with_an_ending_of_its_own_is_found(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "step-1000")
    put(tmp_path, "notes", "train.py")
    assert open_checkpoint(tmp_path).files == (tmp_path / "step-1000",)


def test_the_only_candidate_is_named_by_what_is_wrong_with_it(tmp_path: Path) -> None:
    (tmp_path / "gpt2_124M.bin").write_bytes((20240326).to_bytes(4, "little") + bytes(1020))
    with pytest.raises(CheckpointError, match=r"llm\.c weights file cannot be read"):
        open_checkpoint(tmp_path)


def test_names_that_begin_like_data_are_candidates(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "train_gpt2.pt")
    put(tmp_path, "train.bin", "optimizer.pt")
    assert open_checkpoint(tmp_path).files == (tmp_path / "train_gpt2.pt",)


def test_orphaned_shards_beside_a_checkpoint_are_not_chosen_from(tmp_path: Path, state: State) -> None:
    save_file(state, tmp_path / "model-00001-of-00002.safetensors")
    torch.save(state, tmp_path / "ckpt.pt")
    with pytest.raises(UsageError, match="no index") as error:
        open_checkpoint(tmp_path)
    assert any(str(tmp_path / "ckpt.pt") in remedy for remedy in error.value.remedies)


def test_one_shard_of_one_is_whole(tmp_path: Path, state: State) -> None:
    save_file(state, tmp_path / "model-00001-of-00001.safetensors")
    assert list(open_checkpoint(tmp_path).tensors) == sorted(state)


def test_ranks_are_one_checkpoint_and_one_rank_alone_is_whole(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "consolidated.00.pth")
    assert open_checkpoint(tmp_path).files == (tmp_path / "consolidated.00.pth",)
    torch.save(state, tmp_path / "consolidated.01.pth")
    with pytest.raises(CheckpointError, match="not known how"):
        open_checkpoint(tmp_path)


def test_only_wanted_names_are_spoken_of(tmp_path: Path) -> None:
    names = ["a.pt", "b.pt", "optimizer.pt", "model.safetensors", "pytorch_model.bin"]
    put(tmp_path, *names)
    seen = survey(tmp_path, names, wanted={"b.pt", "optimizer.pt", "pytorch_model.bin"})
    assert [found.source for found in seen.found] == ["b.pt", "pytorch_model.bin"]
    assert seen.left == {"optimizer.pt": "optimizer state"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.pt", ".pt"), ("a.PTH.TAR", ".PTH.TAR"), ("a.tar", ".tar"), (".pt", ""), ("v1.2", ""), ("a", "")],
)
def test_endings(name: str, expected: str) -> None:
    assert ending(name) == expected


def test_settings_of_a_folder(tmp_path: Path) -> None:
    assert own_settings(tmp_path) is None
    assert own_settings(tmp_path / ("x" * 5000)) is None
    assert own_settings(tmp_path / "nul\0") is None
    (tmp_path / "ckpt2hf.toml").write_text("retries = 3")
    assert own_settings(tmp_path) == {"retries": 3}
