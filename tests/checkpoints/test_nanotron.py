"""nanotron's directories: joined they are the model; a slice that is missing, doubled or misplaced is refused."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from checkpoints.nanotron_ranks import WHOLE, file_name, save
from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

CUTS = {
    "model.embed.pp_block.token_embedding.weight": (0, (12,)),
    "model.decoder.0.pp_block.attn.qkv_proj.weight": (0, (8, 4, 4)),
    "model.decoder.0.pp_block.mlp.gate_up_proj.weight": (0, (20, 20)),
    "model.decoder.0.pp_block.mlp.down_proj.weight": (1, (20,)),
    "model.decoder.10.pp_block.attn.qkv_proj.bias": (0, (8, 4, 4)),
}
SHAPES = {"embed": (12, 8), "qkv_proj.weight": (16, 8), "gate_up": (40, 8), "down": (8, 20), "bias": (16,)}
NORM = "model.decoder.0.pp_block.input_layernorm.weight"
QKV = "model.decoder.0.pp_block.attn.qkv_proj"


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(5)
    shapes = {name: next(shape for part, shape in SHAPES.items() if part in name) for name in CUTS}
    return {name: torch.randn(shape, generator=random) for name, shape in {**shapes, NORM: (8,)}.items()}


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_every_parameter_is_put_together(ranks: int, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    checkpoint = open_checkpoint(save(tmp_path / "100", state, CUTS, ranks), as_named=True)
    assert checkpoint.container == "nanotron directory"
    assert checkpoint.tensors.keys() == state.keys()
    for name, value in state.items():
        assert torch.equal(torch.from_numpy(checkpoint.tensors[name].load().copy()), value), name
    assert len(checkpoint.files) == len(CUTS) * ranks + 1


@pytest.mark.parametrize("ranks", [2, 4])
@pytest.mark.parametrize("name", CUTS)
def test_a_rank_s_file_that_is_missing_is_seen(
    name: str, ranks: int, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    folder = save(tmp_path / "100", state, CUTS, ranks)
    *inside, last = name.split(".")
    folder.joinpath("model", *inside, file_name(last, 1, ranks)).unlink()
    with pytest.raises(CheckpointError, match=f"{name} is not complete"):
        open_checkpoint(folder)


def test_a_rank_s_file_in_the_place_of_another_s_is_seen(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = save(tmp_path / "100", state, CUTS, 2)
    place = folder.joinpath("model", *QKV.split("."))
    shutil.copy(place / file_name("weight", 0, 2), place / file_name("weight", 1, 2))
    with pytest.raises(CheckpointError, match="is not complete") as refused:
        open_checkpoint(folder)
    assert "overlap" in "".join(refused.value.details)


def broken(folder: Path, **notes: str) -> Path:
    """The directory with other notes in one rank's file of qkv."""
    path = folder.joinpath("model", *QKV.split("."), file_name("weight", 0, 2))
    right = {"version": "1.4", "local_global_slices_pairs": f"{WHOLE}|{WHOLE}#0,8,None|{WHOLE}"}
    save_file(load_file(path), path, {**right, "unsharded_shape": "(16, 8)", **notes})
    return folder


PLACES: dict[str, tuple[dict[str, str], str]] = {
    "a step": ({"local_global_slices_pairs": f"0,8,2|{WHOLE}#0,4,None|{WHOLE}"}, "not written as"),
    "a word": ({"local_global_slices_pairs": f"a,8,None|{WHOLE}#0,8,None|{WHOLE}"}, "not written as"),
    "two numbers": ({"local_global_slices_pairs": f"0,8|{WHOLE}#0,8|{WHOLE}"}, "not written as"),
    "nothing": ({"local_global_slices_pairs": ""}, "not written as"),
    "an axis too few": ({"local_global_slices_pairs": "0,8,None#0,8,None"}, "does not lie in"),
    "an axis too many": ({"local_global_slices_pairs": f"{WHOLE}|{WHOLE}|{WHOLE}#0,8,None|{WHOLE}"}, "does not lie in"),
    "outside": ({"local_global_slices_pairs": f"{WHOLE}|{WHOLE}#12,20,None|{WHOLE}"}, "does not lie in"),
    "backwards": ({"local_global_slices_pairs": f"8,0,None|{WHOLE}#8,0,None|{WHOLE}"}, "does not lie in"),
    "of another size": ({"local_global_slices_pairs": f"{WHOLE}|{WHOLE}#0,4,None|{WHOLE}"}, "not as large"),
    "no shape": ({"unsharded_shape": "(16, -8)"}, "is no shape"),
    "another shape": ({"unsharded_shape": "(24, 8)"}, "do not agree on how large"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_place_that_makes_no_sense_is_refused(kind: str, state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    notes, why = PLACES[kind]
    with pytest.raises(CheckpointError, match=why) as refused:
        open_checkpoint(broken(save(tmp_path / "100", state, CUTS, 2), **notes))
    assert refused.value.remedies


def test_shapes_as_newer_numpy_prints_them(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = save(tmp_path / "100", state, CUTS, 1)
    path = folder.joinpath("model", *QKV.split("."), file_name("weight", 0, 1))
    notes = {"local_global_slices_pairs": f"{WHOLE}|{WHOLE}#{WHOLE}|{WHOLE}"}
    save_file(load_file(path), path, {**notes, "unsharded_shape": "(np.int64(16), 8)"})
    assert open_checkpoint(folder, as_named=True).tensors[f"{QKV}.weight"].meta.shape == (16, 8)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("model_weight_pp-rank-0-of-1_tp-rank-0-of-1_exp-rank-1-of-2.safetensors", "not that of a parameter"),
        ("notes.txt", "not that of a parameter"),
        ("model_weight.safetensors", "not all of them say which part"),
    ],
)
def test_files_that_are_not_understood_are_refused(
    name: str, why: str, state: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    folder = save(tmp_path / "100", state, CUTS, 1)
    save_file({"data": torch.ones(2, 2)}, folder.joinpath("model", *QKV.split("."), name))
    with pytest.raises(CheckpointError, match=why):
        open_checkpoint(folder)


@pytest.mark.parametrize("content", [("data", "other"), ("other",)])
def test_a_file_holds_one_tensor(content: tuple[str, ...], state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = save(tmp_path / "100", state, CUTS, 1)
    path = folder.joinpath("model", *NORM.split(".")[:-1], "model_weight.safetensors")
    save_file({name: torch.ones(8) for name in content}, path)
    with pytest.raises(CheckpointError, match="`data` alone"):
        open_checkpoint(folder)


def test_a_directory_without_parameters_and_one_that_is_too_deep(tmp_path: Path) -> None:
    (tmp_path / "100" / "model").mkdir(parents=True)
    folder = save(tmp_path / "100", {}, {}, 1)
    with pytest.raises(CheckpointError, match="there is no parameter"):
        open_checkpoint(folder)
    folder.joinpath("model", *"abcdefghijklmnopqrst").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="nested"):
        open_checkpoint(folder)


def test_another_checkpoint_beside_it_has_to_go(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    folder = save(tmp_path / "100", state, CUTS, 1)
    torch.save({}, folder / "other.pt")
    with pytest.raises(UsageError, match="other checkpoints are beside it"):
        open_checkpoint(folder)
