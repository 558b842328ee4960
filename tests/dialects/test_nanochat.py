"""nanochat of 2025 becomes NanoChatForCausalLM, which only transformers 5 has: proved there, from here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ckpt2hf.api import Level, Request, Writing, convert, plan, prove
from ckpt2hf.errors import FactsError, UnsupportedError, VerificationError
from ckpt2hf.output import WeightFormat
from ckpt2hf.verify.function import check_function
from dialects.llama_cases import CASES, oracle
from dialects.llama_oracle import TIME, VOCAB

if TYPE_CHECKING:
    from dialects.llama_oracle import Oracle

NOISE = 2e-5
"""As in conftest.py."""
COMMAND = Path(sys.executable).with_name("ckpt2hf")


@pytest.fixture
def model() -> Oracle:
    return oracle("nanochat")


@pytest.fixture
def path(model: Oracle, tmp_path: Path) -> Path:
    return CASES["nanochat"].write(tmp_path / "run", model)


CLIENT = """
import sys, torch
from safetensors.torch import load_file, save_file
from transformers import NanoChatForCausalLM
work = sys.argv[1]
model = NanoChatForCausalLM.from_pretrained(sys.argv[2], use_safetensors=sys.argv[3] == "safetensors").eval()
with torch.no_grad():
    save_file({"logits": model(load_file(work + "/tokens.safetensors")["tokens"]).logits}, work + "/logits.safetensors")
"""


def computed_there(python: Path, out: Path, tokens: torch.Tensor, work: Path, kind: str) -> torch.Tensor:
    save_file({"tokens": tokens}, work / "tokens.safetensors")
    words = [python, "-W", "ignore", "-c", CLIENT, work, out, kind]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return load_file(work / "logits.safetensors")["logits"]


@pytest.mark.transformers5
def test_it_is_proved_by_transformers_5(model: Oracle, path: Path, python_5x: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = convert(Request(source=path), Writing(out=out, python_5x=python_5x))
    assert report.verdict.proved, report.verdict
    names = [check.name for check in report.verdict.checks]
    assert {"class", "float32 logits", "float64 logits", "greedy generation"} <= set(names)
    assert report.exactness == "bitwise"
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert (config["architectures"], config["vocab_size"]) == (["NanoChatForCausalLM"], VOCAB)
    assert (config["rms_norm_eps"], config["final_logit_softcapping"]) == (1.1920928955078125e-07, 15.0)
    tokens = torch.randint(VOCAB, (2, TIME), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = model(tokens)[0]
    for kind in ("safetensors", "bin"):
        found = computed_there(python_5x, out, tokens, tmp_path, kind)
        assert float((found - wanted).abs().max()) <= NOISE
    again = prove(out, Request(source=path), Level.LOGITS, threads=1, python_5x=python_5x)
    assert again.proved


@pytest.mark.transformers5
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rms_norm_eps", 1e-6),
        ("final_logit_softcapping", 30.0),
        ("final_logit_softcapping", None),
        ("rope_theta", 1e5),
        ("hidden_act", "relu"),
        ("num_key_value_heads", 4),
    ],
)
def test_a_wrong_setting_is_found_over_there(
    setting: str, value: Any, path: Path, python_5x: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    convert(Request(source=path), Writing(out=out, level=Level.BYTES))
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps({**config, setting: value}), encoding="utf-8")
    made = plan(Request(source=path))
    checks = check_function(out, made, (WeightFormat.SAFETENSORS,), progress=lambda _line: None, python=python_5x)
    assert not all(check.passed for check in checks)


@pytest.mark.transformers5
def test_swapped_weights_are_found_over_there(path: Path, python_5x: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert(Request(source=path), Writing(out=out, level=Level.BYTES, formats=(WeightFormat.SAFETENSORS,)))
    state = load_file(out / "model.safetensors")
    key, value = (f"model.layers.1.self_attn.{part}_proj.weight" for part in "kv")
    save_file({**state, key: state[value], value: state[key]}, out / "model.safetensors", metadata={"format": "pt"})
    checks = check_function(
        out, plan(Request(source=path)), (WeightFormat.SAFETENSORS,), progress=lambda _line: None, python=python_5x
    )
    failed = [check for check in checks if not check.passed]
    assert "model.layers.1.self_attn" in failed[0].summary


def test_without_an_interpreter_the_proof_is_refused_with_both_ways_out(path: Path, tmp_path: Path) -> None:
    with pytest.raises(VerificationError) as refused:
        convert(Request(source=path), Writing(out=tmp_path / "out"))
    assert "NanoChatForCausalLM needs transformers 5.0" in str(refused.value)
    assert "--python-5x" in str(refused.value)
    assert "--verify bytes" in str(refused.value)
    assert not (tmp_path / "out").exists()
    report = convert(Request(source=path), Writing(out=tmp_path / "out", level=Level.BYTES))
    assert report.verdict.proved
    assert report.verdict.level == "bytes"


@pytest.mark.parametrize("python", ["nowhere/python", "."])
def test_an_interpreter_that_is_none_is_refused_at_once(python: str, path: Path, tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match="no interpreter that can be run"):
        convert(Request(source=path), Writing(out=tmp_path / "out", python_5x=tmp_path / python))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho no torch here >&2\nexit 3\n", "status 3"),
        (f'#!/bin/sh\nexec {sys.executable} "$@"\n', "needs 5.0 or later"),
    ],
)
def test_an_interpreter_that_cannot_compare_leaves_nothing(script: str, said: str, path: Path, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(script, encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(VerificationError, match=said):
        convert(Request(source=path), Writing(out=tmp_path / "out", python_5x=python))
    assert not (tmp_path / "out").exists()


@pytest.mark.transformers5
def test_the_command_line_takes_it_from_the_environment(path: Path, python_5x: Path, tmp_path: Path) -> None:
    words = [COMMAND, "convert", path, "-o", tmp_path / "out", "--quiet"]
    env = {name: value for name, value in os.environ.items() if name != "CKPT2HF_PYTHON_5X"}
    refused = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert refused.returncode == 1
    assert "--python-5x .venv-5x/bin/python" in refused.stderr
    done = subprocess.run(words, check=False, env={**env, "CKPT2HF_PYTHON_5X": str(python_5x)})
    assert done.returncode == 0


def test_without_its_meta_file_it_has_to_be_named(model: Oracle, tmp_path: Path) -> None:
    path = CASES["nanochat"].write(tmp_path / "run", model)
    (path.parent / "meta_000010.json").unlink()
    with pytest.raises(FactsError) as refused:
        plan(Request(source=path))
    for flag in ("--dialect nanochat", "--set heads=N", "--set vocab=N", "--set context=N"):
        assert flag in str(refused.value)
    facts = ("heads=4", f"vocab={VOCAB}", "context=16")
    assert plan(Request(source=path, dialect="nanochat", facts=facts)).spec.embed_rows == 64


def test_2026_is_refused_with_the_reason(repository: Path) -> None:
    path = repository / "tests/golden/nanochat_2026/base_checkpoints/d3/model_000010.pt"
    for dialect in (None, "nanochat"):
        with pytest.raises(UnsupportedError, match="nanochat cannot be converted") as refused:
            plan(Request(source=path, dialect=dialect))
        assert "x0_lambdas" in str(refused.value)
        assert refused.value.exit_code == 1
