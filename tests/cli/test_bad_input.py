"""Whatever is handed over: one clear error, the right exit code, no traceback, nothing written."""

from __future__ import annotations

import os
import random
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Make = Callable[[Path], Path]


def missing(folder: Path) -> Path:
    return folder / "nowhere.pt"


def empty(folder: Path) -> Path:
    (folder / "ckpt.pt").touch()
    return folder / "ckpt.pt"


def directory_without_checkpoint(folder: Path) -> Path:
    (folder / "run7").mkdir()
    (folder / "run7" / "notes.txt").write_text("nothing here")
    return folder / "run7"


def empty_directory(folder: Path) -> Path:
    (folder / "run8").mkdir()
    return folder / "run8"


def text(folder: Path) -> Path:
    (folder / "ckpt.pt").write_text("step 2000: loss 1.37\n" * 50)
    return folder / "ckpt.pt"


def web_page(folder: Path) -> Path:
    (folder / "ckpt.pt").write_text("<!DOCTYPE html><html><body>Please sign in</body></html>")
    return folder / "ckpt.pt"


def truncated(folder: Path) -> Path:
    whole = (folder / "model.pt").read_bytes()
    (folder / "ckpt.pt").write_bytes(whole[: len(whole) // 2])
    return folder / "ckpt.pt"


def random_bytes(folder: Path) -> Path:
    (folder / "ckpt.pt").write_bytes(random.Random(0).randbytes(5000))  # noqa: S311
    return folder / "ckpt.pt"


def unreadable(folder: Path) -> Path:
    path = folder / "ckpt.pt"
    if os.geteuid() == 0:  # root may read everything, but follows no circle
        path.symlink_to(path)
    else:
        path.touch(mode=0)
    return path


@pytest.mark.parametrize("command", ["convert", "inspect"])
@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (missing, 2, "error[not-found]"),
        (unreadable, 2, "error[not-found]"),
        (empty, 1, "an empty file"),
        (directory_without_checkpoint, 1, "error[checkpoint]"),
        (empty_directory, 1, "error[checkpoint]"),
        (text, 1, "a text file"),
        (web_page, 1, "a web page"),
        (truncated, 1, "error[checkpoint]"),
        (random_bytes, 1, "error[checkpoint]"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.usefixtures("mini")
def test_what_is_no_checkpoint(cli: Callable, tmp_path: Path, command: str, make: Make, code: int, said: str) -> None:
    path = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = cli(command, path, *(["-o", "out"] if command == "convert" else []))
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "error[" in done.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--dialect", "nanogtp"], "there is no dialect 'nanogtp'"),
        (["--set", "activatoin=relu"], "did you mean activation?"),
        (["--set", "heads=many"], "heads takes a whole number"),
        (["--set", "activation=swish"], "activation takes one of gelu"),
        (["--set", "heads"], "--set takes field=value"),
        (["--set", "heads=3", "--set", "heads=3"], "given twice"),
        (["--dtype", "int7"], "--dtype does not know 'int7'"),
        (["--formats", "gguf"], "--formats does not know 'gguf'"),
        (["--formats", ""], "--formats does not know"),
        (["--max-shard-size", "huge"], "--max-shard-size does not know 'huge'"),
        (["--max-shard-size", "0"], "--max-shard-size does not know '0'"),
        (["--reference", "nowhere.py:GPT"], "cannot open nowhere.py"),
        (["--reference", "model.py"], "a Python file and a class in it"),
        (["--reference-args", "n=1"], "--reference-args needs --reference"),
        (["--verify", "hope"], "hope"),
        (["--threads", "-1"], "--threads"),
        (["--nonsense"], "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_words_that_make_no_sense(cli: Callable, tmp_path: Path, mini: Path, words: list[str], said: str) -> None:
    done = cli("convert", mini, "-o", "out", *words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert list(tmp_path.iterdir()) == [mini]


def test_a_class_that_is_not_there(cli: Callable, tmp_path: Path, mini: Path) -> None:
    (tmp_path / "code.py").write_text("class GPTModel: ...\n")
    done = cli("convert", mini, "-o", "out", "--reference", "code.py:GPT")
    assert done.code in {1, 2}
    assert "error[" in done.err
    assert "GPT" in done.err
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["code.py", "model.pt"]


def a_file(folder: Path) -> str:
    (folder / "taken").write_text("mine")
    return "taken"


def a_full_directory(folder: Path) -> str:
    (folder / "taken").mkdir()
    (folder / "taken" / "thesis.tex").write_text("mine")
    return "taken"


def the_source(folder: Path) -> str:
    return str(folder / "model.pt")


def the_folder_of_the_source(folder: Path) -> str:
    return str(folder)


@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
@pytest.mark.parametrize("make", [a_file, a_full_directory, the_source, the_folder_of_the_source])
def test_an_output_that_is_somebody_elses(
    cli: Callable, tmp_path: Path, mini: Path, decided: tuple[str, ...], make: Make, force: list[str]
) -> None:
    out = make(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    done = cli("convert", mini, "-o", out, *decided, "--verify", "bytes", *force)
    assert (done.code, done.out) == (2, "")
    assert "error[usage]" in done.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_an_output_where_nothing_may_be_written(cli: Callable, tmp_path: Path, mini: Path, decided: tuple) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    place = "/proc/out" if os.geteuid() == 0 else closed / "out"  # root may write anywhere, but not there
    done = cli("convert", mini, "-o", place, *decided, "--verify", "bytes")
    assert (done.code, done.out) == (1, "")
    assert "error[output]" in done.err
    assert sorted(tmp_path.rglob("*")) == [closed, mini]


def test_a_directory_of_results_is_no_source_of_facts(cli: Callable, tmp_path: Path, mini: Path) -> None:
    (tmp_path / "conversion.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    done = cli("verify", tmp_path, "--against", mini)
    assert done.code == 2
    assert "is not a report of ckpt2hf" in done.err


def test_verify_needs_a_directory_with_weights(cli: Callable, tmp_path: Path, mini: Path) -> None:
    assert cli("verify", tmp_path / "nowhere", "--against", mini).code == 2
    (tmp_path / "bare").mkdir()
    done = cli("verify", "bare", "--against", mini)
    assert done.code == 2
    assert "neither model.safetensors nor pytorch_model.bin" in done.err


def test_a_checkpoint_that_is_a_model_of_another_kind(cli: Callable, tmp_path: Path, repository: Path) -> None:
    shutil.copy(repository / "tests" / "golden" / "mingpt" / "expected.safetensors", tmp_path / "model.safetensors")
    done = cli("convert", "model.safetensors", "-o", "out")
    assert (done.code, done.out) == (1, "")
    assert "error[mapping]: no dialect knows these tensor names" in done.err
