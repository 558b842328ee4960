"""`--dialect ./mine.toml` on the command line: converted, proved, proved again, shown, refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from ckpt2hf.api import dialect_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BYTES = ("--verify", "bytes")
SAID = ("--set", "heads=3")


@pytest.fixture
def source(tmp_path: Path, golden: Callable[[str], Any]) -> Path:
    """minGPT's golden checkpoint."""
    return shutil.copy(golden("mingpt").path, tmp_path / "model.pt")


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy of minGPT's dialect, under a name of its own."""
    (tmp_path / "mine.toml").write_text(dialect_text("mingpt"), encoding="utf-8")
    return tmp_path / "mine.toml"


@pytest.fixture
def renamed(tmp_path: Path, golden: Callable[[str], Any]) -> tuple[Path, Path]:
    """The same model under names that no built-in dialect knows, and the dialect for it."""
    state = torch.load(golden("mingpt").path, weights_only=True)
    torch.save(
        {name.replace("transformer.h.", "net.stack_"): tensor for name, tensor in state.items()}, tmp_path / "r.pt"
    )
    text = dialect_text("mingpt").replace("transformer.h.", "net.stack_").replace('id = "mingpt"', 'id = "mine"')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "own").write_text(text, encoding="utf-8")
    return tmp_path / "r.pt", tmp_path / "sub" / "own"


@pytest.mark.slow
def test_a_copied_dialect_proves_what_the_original_proves(cli: Any, source: Path, mine: Path) -> None:
    done = cli("convert", source, "-o", "out", "--dialect", "mine.toml", *SAID)
    assert done.code == 0, done.err
    assert "mingpt (mine.toml): " in done.out
    assert "the user's own dialect file" in done.out
    report = json.loads((source.parent / "out" / "conversion.json").read_bytes())
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    assert (report["dialect"]["file"], report["dialect"]["sha256"]) == ("mine.toml", digest)
    assert (report["options"]["dialect"], report["options"]["dialect_sha256"]) == ("mine.toml", digest)
    cli("convert", source, "-o", "theirs", "--dialect", "mingpt", *SAID)
    for name in ("model.safetensors", "pytorch_model.bin", "config.json"):
        assert (source.parent / "out" / name).read_bytes() == (source.parent / "theirs" / name).read_bytes()
    theirs = json.loads((source.parent / "theirs" / "conversion.json").read_bytes())
    assert (theirs["dialect"]["file"], theirs["dialect"]["sha256"]) == (None, None)
    assert "dialect_sha256" not in theirs["options"]


@pytest.mark.slow
def test_renamed_tensors_are_proved_with_a_changed_dialect(cli: Any, renamed: tuple[Path, Path]) -> None:
    source, own = renamed
    assert cli("convert", source, "-o", "out", *SAID).code == 1
    done = cli("convert", source, "-o", "out", "--dialect", "./sub/own", *SAID)  # a path without an ending
    assert done.code == 0, done.err
    assert "proved" in done.out
    assert cli("verify", "out", "--against", source).code == 0
    assert cli("plan", source, "--dialect", own, *SAID).code == 0
    found = json.loads(cli("inspect", source, "--dialect", own, "--json").out)
    assert [(each["dialect"], each["file"]) for each in found["candidates"]] == [("mine", str(own))]
    assert found["candidates"][0]["missing"][0]["field"] == "heads"


def test_a_wrong_fact_in_the_user_s_own_file_is_still_refused_by_the_tensors(
    cli: Any, source: Path, mine: Path
) -> None:
    text = mine.read_text(encoding="utf-8").replace(
        "context = [{ shape", 'context = [{ const = 7, why = "so" }, { shape'
    )
    mine.write_text(text, encoding="utf-8")
    done = cli("convert", source, "-o", "out", "--dialect", mine, *SAID, *BYTES)
    assert done.code == 2
    assert "context = 7 (dialect: so) contradicts context = 32" in done.err
    assert not (source.parent / "out").exists()


def test_a_directory_is_proved_again_with_the_file_it_was_made_with(cli: Any, source: Path, mine: Path) -> None:
    assert cli("convert", source, "-o", "out", "--dialect", "./mine.toml", *SAID, *BYTES).code == 0
    again = ("verify", "out", "--against", source, "--level", "bytes")
    assert cli(*again).code == 0
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    mine.write_text(mine.read_text(encoding="utf-8") + "# another day\n", encoding="utf-8")
    done = cli(*again)
    assert done.code == 2
    assert "is not the one of the conversion" in done.err
    assert digest in done.err
    assert hashlib.sha256(mine.read_bytes()).hexdigest() in done.err
    assert cli(*again, "--dialect", "mine.toml").code == 0  # as it is now
    assert cli(*again, "--dialect", "mingpt").code == 0
    mine.rename(mine.with_name("moved.toml"))
    done = cli(*again)
    assert done.code == 2
    assert "cannot open the dialect file mine.toml" in done.err
    assert digest in done.err
    assert cli(*again, "--dialect", "moved.toml").code == 0


def test_a_wrong_file_is_refused_by_every_command(cli: Any, source: Path, mine: Path) -> None:
    mine.write_text(
        mine.read_text(encoding="utf-8").replace("layers.{i}.attn.out", "layers.{i}.attn.ot"), encoding="utf-8"
    )
    number = next(k for k, line in enumerate(mine.read_text(encoding="utf-8").splitlines(), 1) if "attn.ot" in line)
    place = 'layout[0].modules."transformer.h.{i}.attn.c_proj"'
    wanted = f"mine.toml:{number}: {place}: there is no slot layers.{{i}}.attn.ot.weight; did you mean"
    commands: list[tuple[object, ...]] = [
        ("convert", source, "-o", "out", "--dialect", "mine.toml"),
        ("plan", source, "--dialect", "mine.toml"),
        ("inspect", source, "--dialect", "mine.toml"),
        ("verify", source.parent, "--against", source, "--dialect", "mine.toml"),
        ("batch", source, "-o", "out", "--dialect", "mine.toml"),
        ("dialects", "show", "mine.toml"),
    ]
    (source.parent / "model.safetensors").touch()  # for `verify`, which looks whether there is anything to prove
    for words in commands:
        done = cli(*words)
        assert done.code == 2, words
        assert wanted in " ".join(done.err.split()), words
    assert not (source.parent / "out").exists()


def test_a_valid_file_is_shown_as_it_is(cli: Any, mine: Path) -> None:
    done = cli("dialects", "show", "./mine.toml")
    assert (done.code, done.out) == (0, mine.read_text(encoding="utf-8"))
    assert cli("dialects", "show", "mingpt").out == mine.read_text(encoding="utf-8")


def test_what_is_no_file_is_refused(cli: Any, source: Path) -> None:
    for named, said in (
        ("nowhere.toml", "error[not-found]"),
        ("./", "is a directory"),
        ("mine", "there is no dialect"),
    ):
        done = cli("convert", source, "-o", "out", "--dialect", named)
        assert done.code == 2
        assert said in done.err


def attempts(out: Path) -> dict[str, tuple[str, int, str]]:
    found = json.loads((out / "batch.json").read_bytes())["jobs"]
    return {job["name"]: (job["status"], job["attempts"], job["dialect"]) for job in found}


def test_a_changed_file_redoes_the_jobs_that_use_it(cli: Any, tmp_path: Path, golden: Callable[[str], Any]) -> None:
    runs = tmp_path / "runs"
    for name, case in (("a", "mingpt"), ("b", "build_nanogpt")):
        (runs / name).mkdir(parents=True)
        shutil.copy(golden(case).path, runs / name / "model.pt")
    (runs / "a" / "mine.toml").write_text(dialect_text("mingpt"), encoding="utf-8")
    (runs / "a" / "ckpt2hf.toml").write_text('dialect = "./mine.toml"\nset = { heads = 3 }\n', encoding="utf-8")
    words = ("batch", "runs", "-o", "out", "--verify", "bytes", "--workers", "1")
    out = tmp_path / "out"
    assert cli(*words).code == 0
    first = attempts(out)
    assert first == {
        "a/model": ("proved", 1, "mingpt (mine.toml)"),
        "b/model": ("proved", 1, "build-nanogpt"),
    }
    assert "2 checkpoints" in cli(*words).out
    assert attempts(out) == first
    stamps = {name: (out / name / "conversion.json").stat().st_mtime_ns for name in first}
    mine = runs / "a" / "mine.toml"
    mine.write_text(mine.read_text(encoding="utf-8") + "# later\n", encoding="utf-8")
    assert cli(*words).code == 0
    again = {name for name in first if (out / name / "conversion.json").stat().st_mtime_ns != stamps[name]}
    assert again == {"a/model"}
    # From where the batch was run, a result is proved again with what its report says.
    done = cli("verify", "out/a/model", "--against", "runs/a/model.pt", "--level", "bytes")
    assert done.code == 0, done.err
