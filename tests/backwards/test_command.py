"""The other way on the command line: options that make sense, a plan, a report, and no torch where none is needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.api import Report

    Converted = Callable[[str], tuple[Path, Report]]

COMMAND = Path(sys.executable).with_name("ckpt2hf")


def run(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False)


def test_convert(converted: Converted, tmp_path: Path) -> None:
    directory, _ = converted("nanogpt_bias")
    words = ("convert", directory, "--to-dialect", "nanogpt", "-o", "out/ckpt.pt", "--report", "back.json")
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "activation        gelu             has to be so: the file does not show it" in done.stdout
    assert "proved    out/ckpt.pt  (level logits)" in done.stdout
    assert torch.load(tmp_path / "out" / "ckpt.pt", weights_only=True)["model_args"]["n_head"] == 4
    report = json.loads((tmp_path / "back.json").read_text())
    assert report["verdict"]["proved"]
    assert report["answers"] == {"activation": "gelu"}
    assert report["second_names"] == {"lm_head.weight": "transformer.wte.weight"}
    assert {fact["origin"] for fact in report["facts"]} == {"side file", "class"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.json", "out"]
    again = run(*words[:-2], cwd=tmp_path)
    assert again.returncode == 2
    assert f"{tmp_path / 'out' / 'ckpt.pt'} exists" in again.stderr
    assert "--force" in again.stderr
    forced = run(*words, "--force", "--json", "--verify", "bytes", cwd=tmp_path)
    assert forced.returncode == 0
    assert json.loads(forced.stdout)["verdict"]["level"] == "bytes"


def test_plan(converted: Converted, tmp_path: Path) -> None:
    directory, _ = converted("llama2c")
    done = run("plan", directory, "--to-dialect", "llama2c", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "RoPE from halves to pairs (bitwise)" in done.stdout
    assert "tied      output.weight = tok_embeddings.weight" in done.stdout
    tree = json.loads(run("plan", directory, "--to-dialect", "llama2c", "--json", cwd=tmp_path).stdout)
    assert tree["spec"]["rope_layout"] == "pairs"
    assert tree["beside"]["model_args.n_kv_heads"] == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dialect", "nanogpt"], "--dialect is about reading a checkpoint"),
        (["--dtype", "bf16", "--formats", "bin"], "leave out --dtype and --formats"),
        (["--weights-key", "ema"], "--weights-key is about"),
        (["--reference", "model.py:GPT"], "--reference is about"),
        (["--max-shard-size", "5GB"], "--max-shard-size is about"),
        (["--set", "attention=3"], "there is no fact called 'attention'"),
        (["--to-layout", "no such"], "has no layout 'no such'"),
    ],
)
def test_options_of_the_other_direction(words: list[str], said: str, converted: Converted, tmp_path: Path) -> None:
    done = run("convert", converted("nanogpt_bias")[0], "--to-dialect", "nanogpt", "-o", "x.pt", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_options_that_need_a_dialect_to_go_to(converted: Converted, tmp_path: Path) -> None:
    directory, _ = converted("nanogpt_bias")
    for words, said in (
        (["--to-layout", "GPT"], "--to-layout needs --to-dialect"),
        (["--report", "x.json"], "--report needs --to-dialect"),
    ):
        done = run("convert", directory, "-o", "x", *words, cwd=tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True)
    unknown = run("convert", directory, "--to-dialect", "nanogtp", "-o", "x.pt", cwd=tmp_path)
    assert unknown.returncode == 2
    assert "did you mean nanogpt?" in unknown.stderr


def test_a_layout_is_asked_for_with_whole_commands(converted: Converted, tmp_path: Path) -> None:
    done = run("convert", converted("az50_v1")[0], "--to-dialect", "az-course", "-o", "x.pt", cwd=tmp_path)
    assert done.returncode == 2
    command = next(line for line in done.stderr.splitlines() if line.startswith("    or   "))
    assert "--to-layout 'first version: GPT(GPTConfig) of day 17 (6660f8f)'" in command
    assert command.strip().removeprefix("or").strip().startswith("ckpt2hf convert")


def test_proved_on_bytes_it_needs_no_torch(converted: Converted, tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from ckpt2hf.cli import main\n"
        "sys.argv[0] = 'ckpt2hf'; main()"
    )
    words = ["convert", converted("minimind3")[0], "--to-dialect", "minimind", "-o", "x.pt", "--verify", "bytes"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "proved    x.pt  (level bytes)" in done.stdout
