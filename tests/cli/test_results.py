"""What a conversion leaves behind, and what `verify` says about it afterwards."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import GPT2LMHeadModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BYTES = ("--verify", "bytes")


def test_force_replaces_a_model_and_nothing_less(
    cli: Callable, mini: Path, tmp_path: Path, decided: tuple, finished: Path
) -> None:
    shutil.copytree(finished, tmp_path / "out")
    (tmp_path / "out" / "old.txt").write_text("from the last run")
    refused = cli("convert", mini, "-o", "out", *decided, *BYTES)
    assert (refused.code, refused.out) == (2, "")
    assert "--force" in refused.err
    assert (tmp_path / "out" / "old.txt").exists()
    done = cli("convert", mini, "-o", "out", *decided, *BYTES, "--force")
    assert done.code == 0
    assert not (tmp_path / "out" / "old.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pt", "out"]


def test_shards_load_in_transformers(cli: Callable, mini: Path, tmp_path: Path, decided: tuple) -> None:
    assert cli("convert", mini, "-o", "out", *decided, *BYTES, "--max-shard-size", "1MB").code == 0
    out = tmp_path / "out"
    assert len(list(out.glob("model-*.safetensors"))) > 1
    assert len(list(out.glob("pytorch_model-*.bin"))) > 1
    models = [GPT2LMHeadModel.from_pretrained(out, use_safetensors=safe).state_dict() for safe in (True, False)]
    assert models[0].keys() == models[1].keys()
    assert all(torch.equal(value, models[1][name]) for name, value in models[0].items())


@pytest.mark.slow
def test_rounding_is_said_and_its_price_measured(cli: Callable, mini: Path, tmp_path: Path, decided: tuple) -> None:
    done = cli("convert", mini, "-o", "out", *decided, "--dtype", "bf16", "--formats", "safetensors", "--json")
    assert done.code == 0
    report = json.loads(done.out)
    assert (report["exactness"], report["dtype"]) == ("rounded", "bfloat16")
    price = next(check for check in report["verdict"]["checks"] if check["name"] == "price of rounding")
    assert price["numbers"]["mean_kl"] > 0
    assert 0.9 < price["numbers"]["top1_agreement"] <= 1
    assert json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))["torch_dtype"] == "bfloat16"
    assert not (tmp_path / "out" / "pytorch_model.bin").exists()


def flipped(path: Path) -> None:
    """One bit of a weight in the middle of the file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_verify_passes_what_convert_left(cli: Callable, mini: Path, finished: Path) -> None:
    done = cli("verify", finished, "--against", mini, "--level", "bytes")
    assert done.code == 0
    assert f"proved    {finished}  (level bytes)" in done.out


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_verify_sees_one_changed_bit(cli: Callable, mini: Path, finished: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(finished, tmp_path / "out")
    flipped(tmp_path / "out" / name)
    done = cli("verify", "out", "--against", mini, "--level", "bytes")
    assert done.code == 1
    assert "FAIL" in done.err
    assert "error[verify]: out is not proved" in done.err
    assert "proved    out" not in done.out


@pytest.mark.parametrize(
    ("key", "value"), [("n_head", 2), ("activation_function", "gelu_new"), ("layer_norm_epsilon", 1e-6)]
)
def test_verify_sees_one_changed_setting(
    cli: Callable, mini: Path, finished: Path, tmp_path: Path, key: str, value: object
) -> None:
    shutil.copytree(finished, tmp_path / "out")
    config = tmp_path / "out" / "config.json"
    settings: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    assert settings[key] != value
    config.write_text(json.dumps({**settings, key: value}), encoding="utf-8")
    done = cli("verify", "out", "--against", mini, "--level", "structure", "--json")
    assert done.code == 1
    verdict = json.loads(done.out)
    assert verdict["proved"] is False
    failed = {check["name"]: check["summary"] for check in verdict["checks"] if not check["passed"]}
    assert set(failed) == {"SHA256SUMS", "config.json"}
    assert key in failed["config.json"]


def test_verify_without_a_report_needs_to_be_told(
    cli: Callable, mini: Path, finished: Path, tmp_path: Path, decided: tuple
) -> None:
    shutil.copytree(finished, tmp_path / "out")
    for name in ("conversion.json", "SHA256SUMS"):
        (tmp_path / "out" / name).unlink()
    asked = ("verify", "out", "--against", mini, "--level", "bytes")
    refused = cli(*asked)
    assert (refused.code, refused.out) == (2, "")
    assert "error[facts]" in refused.err
    assert cli(*asked, *decided).code == 0


def test_verify_against_another_checkpoint(cli: Callable, changed: Callable, finished: Path) -> None:
    def nudge(state: dict[str, torch.Tensor]) -> None:
        state["blocks.1.sa.proj.weight"][0, 0] += 1e-3

    done = cli("verify", finished, "--against", changed(nudge), "--level", "bytes")
    assert done.code == 1
    assert "FAIL" in done.err


def test_nan_is_refused_unless_allowed(cli: Callable, changed: Callable, tmp_path: Path, decided: tuple) -> None:
    def diverge(state: dict[str, torch.Tensor]) -> None:
        state["blocks.2.ffwd.net.0.weight"][3, 5] = float("nan")

    path = changed(diverge)
    refused = cli("convert", path, "-o", "out", *decided, *BYTES)
    assert (refused.code, refused.out) == (1, "")
    assert "error[health]" in refused.err
    assert "layers.2.mlp.up.weight" in refused.err
    assert list(tmp_path.iterdir()) == [path]
    allowed = cli("convert", path, "-o", "out", *decided, *BYTES, "--allow-nonfinite")
    assert allowed.code == 0
    assert "[non-finite]" in allowed.err


def test_untrained_weights_are_noticed(cli: Callable, changed: Callable, decided: tuple) -> None:
    """Day 29 of the course, as published, saves the model it has just built."""

    def forget(state: dict[str, torch.Tensor]) -> None:
        for name, value in state.items():
            if name.endswith(".bias"):
                value.zero_()
            elif ".ln" in name or name.startswith("ln_f"):
                value.fill_(1)

    done = cli("convert", changed(forget), "-o", "out", *decided, *BYTES)
    assert done.code == 0
    assert "[untrained]" in done.err
    assert "look untrained" in done.err
    assert "look untrained" not in done.out


def test_a_tensor_nobody_knows(cli: Callable, changed: Callable, tmp_path: Path, decided: tuple) -> None:
    def add(state: dict[str, torch.Tensor]) -> None:
        state["blocks.0.gate"] = torch.ones(3)

    path = changed(add)
    done = cli("convert", path, "-o", "out", *decided, *BYTES)
    assert (done.code, done.out) == (1, "")
    assert "no rule for blocks.0.gate" in done.err
    assert list(tmp_path.iterdir()) == [path]


def test_a_mask_that_is_not_causal(cli: Callable, changed: Callable, tmp_path: Path, decided: tuple) -> None:
    def look_ahead(state: dict[str, torch.Tensor]) -> None:
        state["blocks.0.sa.heads.1.tril"][0, 1] = 1

    path = changed(look_ahead)
    done = cli("convert", path, "-o", "out", *decided, *BYTES)
    assert (done.code, done.out) == (1, "")
    assert "is not a causal mask" in done.err
    assert list(tmp_path.iterdir()) == [path]
