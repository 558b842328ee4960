"""From a checkpoint to every form in one command: what is refused at once, and what a rejected form leaves."""

from __future__ import annotations

import functools
import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.api import Command, FormsRequest, Level, Request, Writing, require_forms
from ckpt2hf.api import convert as convert_here
from ckpt2hf.errors import UsageError
from ckpt2hf.report import read_report
from dialects.llama_cases import CASES, oracle
from stages.command import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

MINI = ("--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def example(repository: Path) -> Path:
    """The trained example, with its tokenizer and held-out ids."""
    return repository / "examples" / "az-mini"


@pytest.fixture
def convert(example: Path, tmp_path: Path) -> Run:
    """`ckpt2hf convert` of the trained example into `out`, with some more words."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        source = example / "az_llm_mini_final.pt"
        line = [COMMAND, "convert", source, "-o", tmp_path / "out", *MINI, *words]
        return subprocess.run([str(word) for word in line], capture_output=True, text=True, check=False)

    return run


def test_one_command_makes_and_measures_everything(convert: Run, example: Path, tmp_path: Path) -> None:
    words = ("--to", "onnx-q4,onnx,onnx-q8", "--calibration", example / "heldout.npy", "--max-ppl-ratio", 1.05)
    done = convert(*words)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    report = read_report(out / "conversion.json")
    assert [each.id for each in report.stages] == ["onnx", "onnx-q8", "onnx-q4"]
    assert all(each.tokens.name == "heldout.npy" for each in report.stages)
    said = done.stdout
    assert said.index("proved    ") < said.index("onnx ") < said.index("onnx-q8") < said.index("onnx-q4")
    assert "of memory" in said
    # Each float32 file is made once, though two forms were made from it.
    log = (tmp_path / "out.convert.log").read_text(encoding="utf-8")
    assert sorted(line for line in log.splitlines() if line.startswith("== ")) == [
        "== onnx",
        "== onnx-q4",
        "== onnx-q8",
    ]
    sums = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
    assert subprocess.run(sums, cwd=out, check=False).returncode == 0
    assert not list(tmp_path.glob("*partial*"))


def test_a_rejected_form_leaves_the_directory_and_exit_code_1(convert: Run, example: Path, tmp_path: Path) -> None:
    measured = ("--calibration", example / "heldout.npy", "--max-tokens", 1000, "--max-kl", 1e-3)
    done = convert("--to", "onnx-q4,onnx-q8", *measured, "--json", "--verify", "bytes")
    assert done.returncode == 1, done.stderr
    tree = json.loads(done.stdout)
    assert tree["verdict"]["proved"]
    assert [(form["report"]["id"], bool(form["problems"])) for form in tree["forms"]] == [
        ("onnx-q8", False),
        ("onnx-q4", True),
    ]
    assert all(form["peak_memory_bytes"] > 100 << 20 and form["seconds"] > 0 for form in tree["forms"])
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert (tmp_path / "out" / "onnx" / "model_quantized.onnx").exists()
    assert not (tmp_path / "out" / "onnx" / "model_q4.onnx").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "onnx-q5"), "there is no form 'onnx-q5'"),
        (("--to", "onnx", "--cpu", "avx2"), "--cpu is about int8"),
        (("--to", "onnx-q4", "--max-ppl-ratio", "1.1"), "--max-ppl-ratio needs a text"),
        (("--to", "onnx-q4", "--calibration", "nowhere.txt"), "nowhere.txt"),
        (("--to", "onnx-q4", "--max-tokens", "7"), "need --calibration"),
        (("--tokenizer", "none", "--to", "onnx-q4", "--calibration", "README.md"), "needs a tokenizer"),
        (("--max-kl", "0"), "needs --to"),
        (("--keep-rejected",), "needs --to"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    convert: Run, tmp_path: Path, repository: Path, words: tuple[str, ...], said: str
) -> None:
    done = convert(*(repository / word if word == "README.md" else word for word in words))
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_model_that_has_no_forms_is_refused_before_it_is_written(tmp_path: Path) -> None:
    name = "olmo, OLMo 2"
    asked = Request(source=CASES[name].write(tmp_path / "run", oracle(name)), **CASES[name].said)
    forms = FormsRequest(directory=tmp_path / "out", command=Command.CONVERT, forms=("onnx",))
    before = functools.partial(require_forms, forms, Level.BYTES)
    with pytest.raises(UsageError, match="convert cannot make onnx") as refused:
        convert_here(asked, Writing(out=tmp_path / "out", level=Level.BYTES), before=before)
    assert any("Olmo3ForCausalLM" in line for line in refused.value.details)
    assert not (tmp_path / "out").exists()
    assert convert_here(asked, Writing(out=tmp_path / "out", level=Level.BYTES)).target == "Olmo3ForCausalLM"


def test_a_url_gets_no_forms(convert: Run, tmp_path: Path) -> None:
    done = convert("--to", "onnx", "-o", "s3://bucket/models/mini")
    assert done.returncode == 2
    assert "in a local directory" in done.stderr
    assert not list(tmp_path.iterdir())


def test_forms_are_made_of_checkpoints_only(convert: Run) -> None:
    done = convert("--to", "onnx", "--to-dialect", "nanogpt")
    assert done.returncode == 2
    assert "--to-dialect" in done.stderr
