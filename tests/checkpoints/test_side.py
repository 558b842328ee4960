"""Settings that training codes leave beside their checkpoints: found, read without running anything, or named."""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING

import pytest
import torch
from torch.distributed import checkpoint as dcp

from ckpt2hf.batch.discovery import Search, discover
from ckpt2hf.checkpoints import Record, belonging, open_checkpoint
from ckpt2hf.dialects.evidence import Evidence
from ckpt2hf.dialects.fact import Fact, Origin
from ckpt2hf.dialects.fact_source import FactSource
from ckpt2hf.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    State = dict[str, torch.Tensor]

MERGE_BOMB = "a: &a {k: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 9)}]}}\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)
ALIAS_BOMB = "a: &a [1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefghijkl", "bcdefghijklm", strict=True)
)


def opened(folder: Path, state: State, name: str = "ckpt.pt") -> dict[str, object]:
    torch.save(state, folder / name)
    return dict(open_checkpoint(folder / name).side)


def test_params_and_yaml_beside_a_checkpoint(tmp_path: Path, state: State) -> None:
    (tmp_path / "params.json").write_text('{"dim": 64, "norm_eps": 1e-5}')
    (tmp_path / "model_config.yaml").write_text("n_head: 6\nnorm_eps: 1.0e-05\nname: tiny\nrope_adjustments: null\n")
    (tmp_path / "hyperparameters.yaml").write_text("train:\n  tie_embeddings: false\n")
    (tmp_path / "config.yaml").write_text("model: {d_model: 64}")
    assert opened(tmp_path, state) == {
        "params.json": {"dim": 64, "norm_eps": 1e-5},
        "model_config.yaml": {"n_head": 6, "norm_eps": 1e-5, "name": "tiny", "rope_adjustments": None},
        "hyperparameters.yaml": {"train": {"tie_embeddings": False}},
        "config.yaml": {"model": {"d_model": 64}},
    }


def test_a_litgpt_directory(tmp_path: Path, state: State) -> None:
    torch.save({"model": state, "iter_num": 3}, tmp_path / "lit_model.pth")
    (tmp_path / "model_config.yaml").write_text("n_head: 6\n")
    (tmp_path / "tokenizer.json").write_text("{}")
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.tensors.keys() == state.keys()
    assert checkpoint.side == {"model_config.yaml": {"n_head": 6}}


def test_a_nanochat_directory(tmp_path: Path, state: State) -> None:
    for step in (10, 20):
        (tmp_path / f"meta_{step:06}.json").write_text(json.dumps({"step": step, "model_config": {"n_head": 4}}))
        torch.save({"state": {}, "param_groups": []}, tmp_path / f"optim_{step:06}_rank0.pt")
    torch.save(state, tmp_path / "model_000010.pt")
    assert open_checkpoint(tmp_path).side == {"meta.json": {"step": 10, "model_config": {"n_head": 4}}}
    torch.save(state, tmp_path / "model_000020.pt")
    with pytest.raises(UsageError, match="2 checkpoints") as error:
        open_checkpoint(tmp_path)
    assert error.value.details == ("model_000010.pt", "model_000020.pt")
    assert open_checkpoint(tmp_path / "model_000020.pt").side["meta.json"]["step"] == 20
    torch.save(state, tmp_path / "model_000030.pt")
    assert open_checkpoint(tmp_path / "model_000030.pt").side == {}


def test_tags_of_python_classes_are_records_and_run_nothing(tmp_path: Path, state: State) -> None:
    canary = tmp_path / "canary"
    (tmp_path / "config.yaml").write_text(
        f"a: !!python/object/apply:os.system ['touch {canary}']\n"
        "b: !!python/object:argparse.Namespace {n_head: 3}\n"
        "c: !!python/name:ckpt2hf_canary_module.Thing ''\n"
        "d: !Mine [1, 2]\n"
        "when: 2024-01-02\n"
        "n_layer: 2\n"
    )
    modules = set(sys.modules)
    settings = opened(tmp_path, state)["config.yaml"]
    assert isinstance(settings, dict)
    assert settings["n_layer"] == 2
    assert isinstance(settings["b"], Record)
    assert settings["b"].fields == {"n_head": 3}
    assert settings["d"].items == [1, 2]
    assert not canary.exists()
    assert not any("canary" in name for name in set(sys.modules) - modules)


@pytest.mark.parametrize("text", [MERGE_BOMB, ALIAS_BOMB, "a: &a [*a]\n"], ids=["merge", "alias", "itself"])
def test_short_texts_that_mean_endless_data_cost_little(text: str, tmp_path: Path, state: State) -> None:
    (tmp_path / "config.yaml").write_text(text)
    assert len(json.dumps(opened(tmp_path, state)["config.yaml"], default=str)) < 100_000_000


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("params.json", '{\n"a": }', "line 2"),
        ("model_config.yaml", "n_head: 6\na: [1", "line 2, column 6"),
        ("model_config.yaml", "- 1", "no table"),
        ("model_config.yaml", "a: 1\n---\nb: 2\n", "single document"),
        ("config.yaml", "[" * 5000, "config.yaml"),
        ("config.yaml", "a: " + "x" * 200_000, "more than"),
        ("config.yaml", "a: " + "9" * 5000, "config.yaml"),
        ("config.yaml", "a: 2024-99-99", "config.yaml"),
        ("config.yaml", "a: \0", "config.yaml"),
        ("config.yaml", "? {b: 1}\n: 2", "unhashable"),
    ],
)
def test_broken_settings_are_named(name: str, text: str, said: str, tmp_path: Path, state: State) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CheckpointError) as error:
        opened(tmp_path, state)
    assert said in str(error.value)
    assert error.value.remedies


def test_which_settings_belong_to_which_checkpoint() -> None:
    names = ["a.pt", "params.json", "meta_000010.json", "meta_000020.json", "config.yaml", "notes.json"]
    assert belonging("model_000010.pt", names) == ["params.json", "meta_000010.json", "config.yaml"]
    assert belonging("a.pt", names) == belonging(None, names) == ["params.json", "config.yaml"]


def distributed(folder: Path, state: State) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that there is one process
        dcp.save(state, checkpoint_id=folder, no_dist=True)
    return folder


def test_settings_beside_a_directory_that_is_a_checkpoint(tmp_path: Path, state: State) -> None:
    """As litgpt's FSDP leaves them: `final/lit_model.pth/` and `final/model_config.yaml`."""
    path = distributed(tmp_path / "final" / "lit_model.pth", state)
    assert open_checkpoint(path).side == {}
    (tmp_path / "final" / "model_config.yaml").write_text("n_head: 6\n")
    (tmp_path / "config.json").write_text('{"n_head": 3}')  # two levels above
    checkpoint = open_checkpoint(path)
    assert checkpoint.side == {"../model_config.yaml": {"n_head": 6}}
    found = Evidence(checkpoint, ()).find("heads", FactSource(side="model_config.yaml: n_head"), lambda _: None)
    assert found == Fact("heads", 6, Origin.SIDE_FILE, "../model_config.yaml: n_head")
    (only,) = discover([Search(tmp_path)], tmp_path / "out").sources
    assert tmp_path / "final" / "model_config.yaml" in only.files
    (path / "params.json").write_text("{}")  # its own come first, and alone
    assert open_checkpoint(path).side == {"params.json": {}}


def test_settings_beside_the_steps_of_a_run_are_of_each_of_them(tmp_path: Path, state: State) -> None:
    paths = [distributed(tmp_path / "checkpoint" / f"step-{step}", state) for step in (9, 10)]
    (tmp_path / "checkpoint" / "params.json").write_text('{"dim": 8}')
    (tmp_path / "checkpoint" / "tensorboard").mkdir()
    assert [open_checkpoint(path).side for path in paths] == [{"../params.json": {"dim": 8}}] * 2


@pytest.mark.parametrize("other", ["model.safetensors", "best/model.pt", "ema-10/.metadata", "ckpt.pt"])
def test_settings_that_may_be_of_another_checkpoint_are_left_alone(tmp_path: Path, state: State, other: str) -> None:
    path = distributed(tmp_path / "run" / "step-10", state)
    (tmp_path / "run" / "config.json").write_text('{"n_head": 6}')
    assert open_checkpoint(path).side == {"../config.json": {"n_head": 6}}
    stranger = tmp_path / "run" / other
    stranger.parent.mkdir(exist_ok=True)
    with stranger.open("wb") as file:  # by its name torch refuses one that begins with a dot
        torch.save(state, file)
    assert open_checkpoint(path).side == {}


def test_a_file_has_its_settings_beside_it_and_no_higher(tmp_path: Path, state: State) -> None:
    (tmp_path / "step-10").mkdir()
    (tmp_path / "config.json").write_text('{"n_head": 6}')
    assert opened(tmp_path / "step-10", state) == {}
