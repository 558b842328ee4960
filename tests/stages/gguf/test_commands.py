"""One command from a checkpoint to GGUF files: what is proved and measured of them, and what is refused."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest

from ckpt2hf.report import read_report
from ckpt2hf.verify.huggingface_model import HuggingFaceModel
from ckpt2hf.verify.language_model import class_of
from stages.command import cli

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_every_form_is_there_with_its_price(formed: Path) -> None:
    report = read_report(formed / "conversion.json")
    forms = {each.id: each for each in report.stages}
    assert list(forms) == ["gguf-f32", "gguf-f16", "gguf-q8_0", "gguf-q4_k_m", "gguf-q4_0"]
    prices = {name: form.price for name, form in forms.items()}
    divergence = [price.mean_kl for price in prices.values() if price]
    assert len(divergence) == 5
    assert divergence[0] < divergence[1] < divergence[2] < divergence[3] < divergence[4] < 0.05
    sizes = [sum(file.bytes for file in form.files) for form in forms.values()]
    assert sizes == sorted(sizes, reverse=True)
    for form in forms.values():
        names = {check.name for check in form.checks}
        assert {"finite logits", "gguf tokenizer encodes", "gguf tokenizer decodes", "bits"} <= names
        assert all(check.passed for check in form.checks)
        assert any("the tanh form of GELU (approximate)" in note for note in form.notes)
    assert "gguf logits" in {check.name for check in forms["gguf-f32"].checks}


def test_files_are_named_and_summed(formed: Path, files: dict[str, Path]) -> None:
    assert set(files) == {"F32", "F16", "Q8_0", "Q4_K_M", "Q4_0"}
    assert files["Q8_0"].name == "az-mini-601K-v1.0-Q8_0.gguf"
    sums = ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"]
    assert subprocess.run(sums, cwd=formed, check=False).returncode == 0
    said = (formed / "SHA256SUMS").read_text(encoding="utf-8")
    assert "  gguf/Modelfile\n" in said
    assert "  gguf/az-mini-601K-v1.0-Q4_0.gguf\n" in said
    card = (formed / "README.md").read_text(encoding="utf-8")
    assert "GGUF files for llama.cpp and Ollama" in card
    assert "ONNX" not in card


def test_fallbacks_are_named_with_the_reason(formed: Path) -> None:
    form = next(each for each in read_report(formed / "conversion.json").stages if each.id == "gguf-q4_k_m")
    assert form.kept
    foretold = [note for note in form.notes if "instead of Q4_K" in note]
    assert len(foretold) == 2  # rows of 96 and of 384
    assert sum(int(note.split()[0]) for note in foretold) == len(form.kept) + 1  # and the embedding, which is looked up
    assert all("do not fit Q4_K" in kept.why for kept in form.kept)
    assert 5 < form.matrix_bits < 8


def test_the_text_of_float16_is_pytorchs(formed: Path, files: dict[str, Path]) -> None:
    from ckpt2hf.stages.gguf.model import LlamaModel  # noqa: PLC0415 - loads llama.cpp

    model = HuggingFaceModel(formed, class_of(formed))
    llama = LlamaModel(files["F16"], model.context)
    for prompt in ([5], [300], [42, 7, 99], [700], [11, 12]):
        text = np.array([prompt])
        while text.shape[1] < model.context:
            text = np.concatenate([text, model.logits(text)[:, -1:].argmax(-1)], 1)
        # Read once by llama.cpp, each token of it is the one that llama.cpp takes there, too.
        taken = llama.logits(text[:, :-1]).argmax(-1)[0, len(prompt) - 1 :]
        assert taken.tolist() == text[0, len(prompt) :].tolist()
        assert len(taken) >= 61


def test_a_damaged_quantization_does_not_pass_the_gates(files: dict[str, Path], formed: Path, tmp_path: Path) -> None:
    from ckpt2hf.stages.divergence import Divergence  # noqa: PLC0415
    from ckpt2hf.stages.gguf.model import LlamaModel  # noqa: PLC0415

    damaged = Path(shutil.copyfile(files["Q8_0"], tmp_path / "damaged.gguf"))
    tensor = next(each for each in gguf.GGUFReader(damaged).tensors if each.name == "blk.0.ffn_up.weight")
    raw = bytearray(damaged.read_bytes())
    blocks = np.frombuffer(raw, np.dtype([("d", "<f2"), ("q", "i1", 32)]), 1000, int(tensor.data_offset)).copy()
    blocks["d"] *= 4  # the scales of some blocks
    raw[int(tensor.data_offset) : int(tensor.data_offset) + blocks.nbytes] = blocks.tobytes()
    damaged.write_bytes(raw)
    model = HuggingFaceModel(formed, class_of(formed))
    ids = np.load(Path(__file__).parents[3] / "examples" / "az-mini" / "heldout.npy")[:4].astype(np.int64)[:, :64]
    wanted = model.logits(ids)
    found = {}
    for name, file in (("right", files["Q8_0"]), ("wrong", damaged)):
        found[name] = Divergence()
        found[name].add(wanted, LlamaModel(file, 64).logits(ids), None)
    assert found["right"].mean_kl < 1e-3
    assert found["wrong"].mean_kl > 0.05


def test_flipped_and_lost_bytes_are_seen_by_verify(formed: Path, files: dict[str, Path], tmp_path: Path) -> None:
    size = files["Q4_0"].stat().st_size
    changes: dict[str, Callable[[bytearray], object]] = {
        "header": lambda raw: raw.__setitem__(5, raw[5] ^ 1),
        "metadata": lambda raw: raw.__setitem__(200, raw[200] ^ 16),
        "data": lambda raw: raw.__setitem__(size - 100, raw[size - 100] ^ 4),
        "truncated": lambda raw: raw.__delitem__(slice(size // 2, None)),
    }
    for name, change in changes.items():
        copy = Path(shutil.copytree(formed, tmp_path / name))
        file = copy / "gguf" / files["Q4_0"].name
        raw = bytearray(file.read_bytes())
        change(raw)
        file.write_bytes(raw)
        done = cli("verify", copy)
        assert done.returncode == 1, name
        assert f"gguf/{file.name}" in done.stdout + done.stderr


def test_a_form_made_again_takes_the_place_of_the_old_one(formed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(formed, tmp_path / "az-mini"))
    before = sorted(path.name for path in (copy / "gguf").iterdir())
    done = cli("quantize", copy, "--to", "gguf-q6_k,gguf-q4_0")
    assert done.returncode == 0, done.stderr
    log = (tmp_path / "az-mini.quantize.log").read_text(encoding="utf-8")
    assert "== gguf-f32\n" not in log  # the proved one is there
    after = sorted(path.name for path in (copy / "gguf").iterdir())
    assert after == sorted([*before, "az-mini-601K-v1.0-Q6_K.gguf"])


def test_a_base_with_a_tokenizer_is_none_for_a_file_without(formed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(formed, tmp_path / "az-mini"))
    done = cli("quantize", copy, "--to", "gguf-q6_k", "--gguf-tokenizer", "none")
    assert done.returncode == 0, done.stderr
    assert "== gguf-f32\n" in (tmp_path / "az-mini.quantize.log").read_text(encoding="utf-8")
    file = next((copy / "gguf").glob("*-Q6_K.gguf"))
    assert gguf.GGUFReader(file).fields["tokenizer.ggml.model"].contents() == "none"


def test_the_modelfile_is_what_ollama_reads(formed: Path) -> None:
    """The grammar of docs/modelfile.md: instructions with arguments, comments, a text between three quotes."""
    text = (formed / "gguf" / "Modelfile").read_text(encoding="utf-8")
    instruction = re.compile(r'(FROM|PARAMETER|TEMPLATE) ("""(?:.|\n)*?"""|.+)')
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = [instruction.fullmatch(line) for line in lines]
    assert all(found)
    said = [(match[1], match[2]) for match in found if match]
    assert ("FROM", "./az-mini-601K-v1.0-Q4_K_M.gguf") in said
    assert (formed / "gguf" / said[0][1]).exists()
    assert ("PARAMETER", "num_ctx 64") in said
    assert ("PARAMETER", 'stop "<|endoftext|>"') in said
    assert ("TEMPLATE", '"""{{ .Prompt }}"""') in said
    others = re.findall(r"# FROM \./(\S+)", text)
    assert all((formed / "gguf" / name).exists() for name in others)
    assert len(others) == 4


def test_the_courses_tokenizer_is_refused_before_anything_is_written(repository: Path, tmp_path: Path) -> None:
    source = repository / "examples" / "az-mini" / "az_llm_mini_final.pt"
    words = ("--dialect", "az-course", "--set", "attention_scale=head_dim**-0.5", "--to", "gguf-f16")
    done = cli("convert", source, "-o", tmp_path / "out", *words)
    assert done.returncode == 2, done.stderr
    assert "llama.cpp cannot express the tokenizer" in done.stderr
    assert "Whitespace" in done.stderr
    assert "--gguf-tokenizer none" in done.stderr
    assert "ByteLevel" in done.stderr
    assert not list(tmp_path.iterdir())
    done = cli("convert", source, "-o", tmp_path / "out", *words, "--gguf-tokenizer", "none", "--verify", "bytes")
    assert done.returncode == 0, done.stderr
    assert "takes and gives ids only" in done.stdout
    assert not (tmp_path / "out" / "gguf" / "Modelfile").exists()
    done = cli("quantize", tmp_path / "out", "--to", "gguf-q8_0")
    assert done.returncode == 2
    assert "llama.cpp cannot express the tokenizer" in done.stderr


def test_types_that_do_not_fit_are_refused_on_request(formed: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(formed, tmp_path / "az-mini"))
    done = cli("quantize", copy, "--to", "gguf-q4_k_m,gguf-q8_0", "--no-fallback")
    assert done.returncode == 2, done.stderr
    assert "gguf-q4_k_m: " in done.stderr
    assert "with rows of 96" in done.stderr
    assert "become Q5_0 instead of Q4_K" in done.stderr
    assert "gguf-q8_0: " not in done.stderr
    assert not (tmp_path / "az-mini.quantize.log").exists()
    form = next(each for each in read_report(copy / "conversion.json").stages if each.id == "gguf-q4_k_m")
    assert {kept.why.partition(",")[0] for kept in form.kept} <= {"Q5_0", "Q8_0"}  # as was foretold
    assert cli("quantize", copy, "--to", "gguf-q8_0", "--no-fallback").returncode == 0


def test_columns_that_matter_are_kept_better(formed: Path, repository: Path, tmp_path: Path) -> None:
    measured = ("--calibration", repository / "examples" / "az-mini" / "heldout.npy", "--max-tokens", 3000)
    found = {}
    for name, words in (("without", ()), ("with", ("--imatrix", "auto"))):
        copy = Path(shutil.copytree(formed, tmp_path / name / "az-mini"))
        done = cli("quantize", copy, "--to", "gguf-q4_0,gguf-q4_k_m", *measured, *words)
        assert done.returncode == 0, done.stderr
        stages = read_report(copy / "conversion.json").stages
        found[name] = {each.id: each for each in stages if each.id in {"gguf-q4_0", "gguf-q4_k_m"}}
    for form in ("gguf-q4_0", "gguf-q4_k_m"):
        without, with_ = (found[name][form] for name in ("without", "with"))
        assert without.price
        assert with_.price
        assert with_.price.mean_kl < without.price.mean_kl
        assert (without.settings["importance"], with_.settings["importance"]) == (0, 17)  # four a layer, and the head
        assert with_.tokens == without.tokens  # measured on the same


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "gguf-q4_0", "--imatrix", "auto"), "--imatrix auto takes what follows"),
        (("--to", "gguf-q4_0", "--imatrix", "nowhere.txt"), "nowhere.txt"),
        (("--to", "onnx-q8", "--imatrix", "auto"), "--imatrix is about quantized GGUF files"),
    ],
)
def test_importance_that_makes_no_sense_is_refused(formed: Path, words: tuple[str, ...], said: str) -> None:
    done = cli("quantize", formed, *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr


def test_too_few_tokens_for_importance_are_said(formed: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "ids.npy", np.arange(500) % 700)
    words = ("--calibration", tmp_path / "ids.npy", "--imatrix", "auto")
    done = cli("quantize", formed, "--to", "gguf-q4_0", *words)
    assert done.returncode == 2, done.stderr
    assert "tokens after those on which forms are measured" in done.stderr
    assert "--max-tokens 250" in done.stderr
