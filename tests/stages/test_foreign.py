"""Hugging Face directories that something else has written get other forms, too, and a file that knows of them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from ckpt2hf.api import converted_in
from ckpt2hf.report import read_forms
from gguf_vocabularies import byte_level, trained
from stages.command import cli, contents

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = "forms.json"
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def loud(model: torch.nn.Module) -> torch.nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    return model


def gpt(folder: Path) -> None:
    made = loud(GPT2LMHeadModel(GPT2Config(n_embd=64, n_layer=2, n_head=4, vocab_size=810, n_positions=64)))
    made.save_pretrained(folder)


def llama(folder: Path) -> None:
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2}
    made = LlamaForCausalLM(LlamaConfig(**sizes, **heads, vocab_size=810, max_position_embeddings=64))
    loud(made).to(torch.bfloat16).save_pretrained(folder, safe_serialization=False, max_shard_size="60KB")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with nothing but a tokenizer, as transformers saves it."""
    folder = tmp_path_factory.mktemp("tokenizer")
    (folder / "t.json").write_text(json.dumps(trained(byte_level())), encoding="utf-8")
    saved = PreTrainedTokenizerFast(tokenizer_file=str(folder / "t.json"), eos_token="<|endoftext|>")  # noqa: S106 - no password
    saved.save_pretrained(folder / "saved")
    return folder / "saved"


@pytest.fixture(params=[gpt, llama])
def foreign(request: pytest.FixtureRequest, tokenizer: Path, tmp_path: Path) -> Path:
    """What `save_pretrained` leaves, and a person's own README."""
    torch.manual_seed(0)
    folder = Path(shutil.copytree(tokenizer, tmp_path / "tuned"))
    make: Callable[[Path], None] = request.param
    make(folder)
    (folder / "README.md").write_text("# Mine\n", encoding="utf-8")
    return folder


def test_it_gets_every_kind_of_form(foreign: Path) -> None:
    before = contents(foreign)
    done = cli("export", foreign, "--to", "onnx,gguf-f32")
    assert done.returncode == 0, done.stderr
    done = cli("quantize", foreign, "--to", "gguf-q8_0,onnx-q4")
    assert done.returncode == 0, done.stderr
    log = foreign.with_name("tuned.quantize.log").read_text(encoding="utf-8")
    assert "== gguf-f32" not in log  # those that are there were taken
    assert "== onnx\n" not in log
    after = contents(foreign)
    assert {name: after[name] for name in before} == before
    forms = read_forms(foreign / FORMS)
    assert [each.id for each in forms.stages] == ["onnx", "onnx-q4", "gguf-f32", "gguf-q8_0"]
    assert forms.sha256.items() <= after.items()
    named = {file.name for each in forms.stages for file in each.files} | {"gguf/Modelfile"}
    assert set(after) - set(before) == named | {FORMS}
    assert named < set(forms.sha256)
    assert 'PARAMETER stop "<|endoftext|>"' in (foreign / "gguf" / "Modelfile").read_text(encoding="utf-8")
    file = next((foreign / "gguf").glob("*-Q8_0.gguf"))
    assert gguf.GGUFReader(file).fields["tokenizer.ggml.model"].contents() == "gpt2"
    AutoModelForCausalLM.from_pretrained(foreign)


def test_training_that_went_on_makes_no_mixture(foreign: Path) -> None:
    assert cli("export", foreign, "--to", "gguf-f32").returncode == 0
    kind = json.loads((foreign / "config.json").read_text(encoding="utf-8"))["model_type"]
    torch.manual_seed(1)
    {"gpt2": gpt, "llama": llama}[kind](foreign)
    before = contents(foreign)
    done = cli("quantize", foreign, "--to", "gguf-q8_0")
    assert done.returncode == 2, done.stderr
    assert "the model has changed since its forms were made" in done.stderr
    assert re.search(r"\.(safetensors|bin) is not the file that forms\.json names", done.stderr)
    assert contents(foreign) == before
    for name in ("gguf", FORMS):
        shutil.rmtree(foreign / name) if name == "gguf" else (foreign / name).unlink()
    assert cli("quantize", foreign, "--to", "gguf-q8_0").returncode == 0


def test_a_damaged_base_is_made_again(foreign: Path) -> None:
    assert cli("export", foreign, "--to", "gguf-f32").returncode == 0
    file = next((foreign / "gguf").glob("*.gguf"))
    raw = bytearray(file.read_bytes())
    raw[-50] ^= 4
    file.write_bytes(raw)
    assert cli("quantize", foreign, "--to", "gguf-q8_0").returncode == 0
    assert "== gguf-f32" in foreign.with_name("tuned.quantize.log").read_text(encoding="utf-8")


def test_files_of_somebody_else_stay(tokenizer: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tokenizer, tmp_path / "tuned"))
    gpt(folder)
    theirs = {"onnx/model.onnx": "theirs", "gguf/Modelfile": "FROM theirs"}
    for name, text in theirs.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text, encoding="utf-8")
    before = contents(folder)
    done = cli("export", folder, "--to", "onnx")
    assert done.returncode == 2, done.stderr
    assert "onnx/model.onnx is there, and ckpt2hf did not make it" in done.stderr
    assert contents(folder) == before
    # Others are added beside them, twice: the second time ours are replaced.
    for _ in range(2):
        done = cli("quantize", folder, "--to", "onnx-q4,gguf-q8_0")
        assert done.returncode == 0, done.stderr
        after = contents(folder)
        assert {name: after[name] for name in before} == before
        (file,) = (folder / "gguf").glob("*.gguf")
        assert set(after) - set(before) == {"onnx/model_q4.onnx", f"gguf/{file.name}", FORMS}


def test_a_tokenizer_that_cannot_be_read_stops_only_what_would_have_it(tokenizer: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tokenizer, tmp_path / "tuned"))
    gpt(folder)
    (folder / "tokenizer.json").write_text('{"version": "9"}', encoding="utf-8")
    done = cli("export", folder, "--to", "gguf-f16")
    assert done.returncode == 2, done.stderr
    assert "tokenizer.json" in done.stderr
    done = cli("export", folder, "--to", "gguf-f16,onnx", "--gguf-tokenizer", "none")
    assert done.returncode == 0, done.stderr


def test_a_model_is_no_folder_of_models(tokenizer: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tokenizer, tmp_path / "tuned"))
    gpt(folder)
    inside = folder / "before"
    inside.mkdir()
    for name in ("config.json", "conversion.json"):
        (inside / name).write_text("{}", encoding="utf-8")
    assert converted_in(folder) == (folder,)
    (folder / "config.json").unlink()
    assert converted_in(folder) == (inside,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "Expecting value"),
        ("[]", "its schema is not 1"),
        ('{"schema": 2}', "its schema is not 1"),
        ('{"schema": 1, "stages": 3, "sha256": {}}', "stages"),
        ('{"schema": 1, "stages": []}', "sha256"),
    ],
)
def test_a_file_that_is_not_ours_is_refused(text: str, said: str, tokenizer: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tokenizer, tmp_path / "tuned"))
    gpt(folder)
    (folder / FORMS).write_text(text, encoding="utf-8")
    before = contents(folder)
    done = cli("export", folder)
    assert done.returncode == 2, done.stderr
    assert "forms.json is not what ckpt2hf writes of forms" in done.stderr
    assert said in done.stderr
    assert contents(folder) == before
