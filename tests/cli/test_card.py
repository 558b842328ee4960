"""`ckpt2hf card`, `ckpt2hf verify DIR`, and the words of a card on their way through `convert` and `batch`."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from huggingface_hub.repocard import metadata_load

from ckpt2hf.api import CardWords, look, write_card
from ckpt2hf.errors import OutputError, UsageError, VerificationError
from ckpt2hf.report.card import License

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "out"))


def sums_hold(directory: Path) -> bool:
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=directory, capture_output=True, check=False)  # noqa: S607
    return done.returncode == 0


def front(directory: Path) -> dict[str, Any]:
    found = metadata_load(directory / "README.md")
    assert found is not None
    return found


def inside(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# --- convert and batch


def test_convert_writes_what_is_said(cli: Callable, mini: Path, decided: tuple, tmp_path: Path) -> None:
    words = ("--license", "cc-by-4.0", "--language", "az", "--language", "en", "--model-name", "Az mini")
    done = cli("convert", mini, "-o", "out", *decided, "--verify", "bytes", *words)
    assert done.code == 0, done.err
    said = front(tmp_path / "out")
    assert (said["license"], said["language"], said["model_name"]) == ("cc-by-4.0", ["az", "en"], "Az mini")
    assert sums_hold(tmp_path / "out")
    for wrong in (("--license", "mine"), ("--language", "Azeri"), ("--model-name", "")):
        done = cli("convert", mini, "-o", "other", *decided, *wrong)
        assert done.code == 2
        assert f"error[usage]: {wrong[0]} does not know" in done.err
    assert not (tmp_path / "other").exists()
    done = cli("convert", tmp_path / "out", "--to-dialect", "nanogpt", "-o", "x.pt", "--license", "mit")
    assert done.code == 2
    assert "--license" in done.err


def test_the_settings_file_says_it_for_a_batch(cli: Callable, mini: Path, decided: tuple, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    mini.rename(runs / "a.pt")
    text = 'license = "mine-1=LICENSE"\nlanguage = ["az", "no"]\nverify = "bytes"\n[[checkpoint]]\npath = "a.pt"\n'
    (runs / "ckpt2hf.toml").write_text(text + 'model_name = "A"\n', encoding="utf-8")
    words = ("batch", "runs", "-o", "models", *decided, "--license", "mit", "--quiet")
    assert cli(*words).code == 0
    (made,) = {path.parent for path in (tmp_path / "models").rglob("README.md")}
    said = front(made)
    assert (said["license"], said["language"], said["model_name"]) == ("mit", ["az", "no"], "A")
    before = (made / "SHA256SUMS").stat().st_mtime_ns
    assert cli(*words).code == 0
    assert (made / "SHA256SUMS").stat().st_mtime_ns == before
    assert cli(*words[:-3], "--quiet").code == 0  # without the flag, what the file says
    assert front(made)["license_name"] == "mine-1"


def test_a_wrong_word_in_a_settings_file_is_told(cli: Callable, mini: Path, tmp_path: Path) -> None:
    lines = 'license = "made-up"\nlanguage = "Azeri"\nmodel_name = 3\n'
    (tmp_path / "ckpt2hf.toml").write_text(lines, encoding="utf-8")
    done = cli("batch", mini, "-o", "models", "--dry-run")
    assert done.code == 2
    for said in ("no license id of the Hub", "ISO 639", "takes text in quotes"):
        assert said in done.err


# --- card


def test_a_second_card_keeps_what_was_said(cli: Callable, out: Path) -> None:
    first = (out / "README.md").read_bytes()
    assert cli("card", out).code == 0
    assert (out / "README.md").read_bytes() == first
    assert cli("card", out, "--license", "mit", "--language", "az").code == 0
    assert cli("card", out, "--model-name", "Az mini").code == 0
    assert cli("card", out).code == 0
    said = front(out)
    assert (said["license"], said["language"], said["model_name"]) == ("mit", ["az"], "Az mini")
    assert sums_hold(out)
    assert cli("card", out, "--language", "en").code == 0
    assert front(out)["language"] == ["en"]
    assert json.loads(cli("verify", out, "--json").out)["proved"] is True


def test_a_card_that_was_edited_is_kept(cli: Callable, out: Path) -> None:
    card = out / "README.md"
    edited = card.read_text(encoding="utf-8").replace("library_name", "license: mit\nlibrary_name") + "\nMine.\n"
    card.write_text(edited, encoding="utf-8")
    done = cli("card", out)
    assert (done.code, card.read_text(encoding="utf-8")) == (2, edited)
    assert "README.md was edited" in done.err
    assert "--force" in done.err
    done = cli("verify", out)
    assert done.code == 0
    assert "README.md was edited since" in done.out
    assert cli("card", out, "--force").code == 0
    assert front(out)["license"] == "mit"
    assert "Mine." not in card.read_text(encoding="utf-8")
    assert sums_hold(out)


def test_front_matter_that_cannot_be_kept_is_not_lost(out: Path) -> None:
    card = out / "README.md"
    card.write_text("---\nlicense: [mit, gpl]\n---\nMine.\n", encoding="utf-8")
    with pytest.raises(UsageError, match="cannot be kept"):
        write_card(out, CardWords(), force=True)
    assert "Mine." in card.read_text(encoding="utf-8")
    card.unlink()
    write_card(out, CardWords(license=License("mit")))
    assert front(out)["license"] == "mit"
    assert sums_hold(out)


def test_a_report_that_has_changed_is_not_told_again(out: Path) -> None:
    report = out / "conversion.json"
    report.write_text(report.read_text(encoding="utf-8").replace('"level": "bytes"', '"level": "logits"'))
    with pytest.raises(VerificationError, match="is not the file that SHA256SUMS names"):
        write_card(out, CardWords(), force=True)
    assert not look(out, threads=1).proved


def test_a_directory_without_sums_gets_none(out: Path) -> None:
    (out / "SHA256SUMS").unlink()
    write_card(out, CardWords(license=License("mit")))
    assert front(out)["license"] == "mit"
    assert "SHA256SUMS" not in inside(out)
    (out / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="was edited"):
        write_card(out, CardWords())


def test_what_is_no_converted_directory(cli: Callable, out: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    for place, said in (("bare", "conversion.json"), ("nowhere", "there is no directory")):
        done = cli("card", place)
        assert done.code == 2
        assert said in done.err
    (out / "SHA256SUMS").write_text("nonsense\n")
    done = cli("card", out)
    assert done.code == 2
    assert "SHA256SUMS cannot be used: line 1" in done.err


class FailsAt:
    """A function that works except for one call."""

    def __init__(self, real: Callable[..., Any], at: int | None) -> None:
        self.real, self.at, self.calls = real, at, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls - 1 == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize("name", ["fsync", "rename", "replace", "open"])
def test_a_card_that_fails_half_way_is_told_and_mended(
    out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whatever call the disk refuses: each file is the old or the new one, and the next run needs no --force."""
    words = CardWords(license=License("mit"), languages=("az",))
    old = {each: (out / each).read_bytes() for each in ("README.md", "SHA256SUMS")}
    done = shutil.copytree(out, tmp_path / "done")
    counter = FailsAt(getattr(os, name), None)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, counter)
        write_card(done, words)
    new = {each: (done / each).read_bytes() for each in old}
    assert all(new[each] != old[each] for each in old)
    states = set()
    for k in range(counter.calls):
        here = shutil.copytree(out, tmp_path / f"{name}-{k}")
        with monkeypatch.context() as patch:
            patch.setattr(os, name, FailsAt(getattr(os, name), k))
            with pytest.raises(OutputError):
                write_card(here, words)
        state = tuple("new" if (here / each).read_bytes() == new[each] else "old" for each in old)
        assert all((here / each).read_bytes() in (old[each], new[each]) for each in old)
        assert state != ("old", "new"), "the sum of a card that is not there"
        verdict = look(here, threads=1)
        assert verdict.proved
        torn = state == ("new", "old")
        assert ("README.md was edited" in verdict.checks[0].summary) == torn
        assert sums_hold(here) == (not torn)
        write_card(here, CardWords(model_name="Mended"))
        assert sums_hold(here)
        assert inside(here) == inside(out)
        assert front(here).get("license") == (None if state[0] == "old" else "mit")
        states.add(state)
    if name in {"fsync", "open"}:
        assert states >= {("old", "old"), ("new", "old")}


# --- verify


@pytest.mark.parametrize("level", ["structure", "bytes"])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "conversion.json", "model.safetensors"])
def test_a_changed_file_is_named_at_every_level(cli: Callable, out: Path, mini: Path, level: str, name: str) -> None:
    content = bytearray((out / name).read_bytes())
    content[-2:-1] = content[-2:-1] + b" " if name.endswith(".json") else bytes([content[-2] ^ 1])
    (out / name).write_bytes(content)
    done = cli("verify", out, "--against", mini, "--level", level, "--json")
    assert done.code == 1
    checks = {check["name"]: check for check in json.loads(done.out)["checks"]}
    assert checks["SHA256SUMS"]["passed"] is False
    assert checks["SHA256SUMS"]["summary"].startswith(f"{name} has changed")
    assert checks["SHA256SUMS"]["numbers"] == {"files": len(list(out.iterdir())) - 1, "changed": 1, "missing": 0}


def test_verify_without_the_checkpoint_says_what_it_does_not_show(cli: Callable, out: Path) -> None:
    done = cli("verify", out)
    assert done.code == 0
    assert "intact" in done.out
    assert "unproved  that it computes what a checkpoint computes" in done.out
    assert "proved    " not in done.out.replace("unproved", "")
    told = json.loads(cli("verify", out, "--json").out)
    assert (told["level"], told["proved"]) == ("directory", True)
    (out / "generation_config.json").unlink()
    (out / "extra.txt").write_text("x")
    done = cli("verify", out)
    assert done.code == 1
    assert "generation_config.json is missing" in done.err
    assert "not named there: extra.txt" in done.err
    (out / "SHA256SUMS").unlink()
    done = cli("verify", out)
    assert done.code == 0
    assert "that no file has changed: there is no SHA256SUMS" in done.out


@pytest.mark.parametrize("without", ["conversion.json", "nothing"])
def test_verify_alone_sees_the_structure(cli: Callable, out: Path, without: str) -> None:
    (out / "SHA256SUMS").unlink()
    (out / without).unlink(missing_ok=True)
    assert cli("verify", out).code == 0
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForCausalLM"]}))
    done = cli("verify", out)
    assert done.code == (0 if without == "conversion.json" else 1)
    assert "LlamaForCausalLM" in done.text
    (out / "config.json").write_text("{}")
    assert cli("verify", out).code == 1
    (out / "config.json").write_text(json.dumps(config))
    (out / "pytorch_model.bin").write_bytes((out / "pytorch_model.bin").read_bytes()[:-1000])
    done = cli("verify", out)
    assert done.code == 1
    assert "cannot read pytorch_model.bin back" in done.err


def test_tensors_that_do_not_belong_are_named(cli: Callable, out: Path) -> None:
    from safetensors.numpy import load_file, save_file  # noqa: PLC0415

    tensors = load_file(out / "model.safetensors")
    tensors["more"] = tensors.pop("transformer.wpe.weight")
    tensors["transformer.wte.weight"] = tensors["transformer.wte.weight"][:-1].copy()
    save_file(tensors, out / "model.safetensors")
    done = cli("verify", out)
    assert done.code == 1
    for said in ("model.safetensors has changed", "wpe.weight is missing", "more does not belong", "wte.weight is"):
        assert said in done.err


@pytest.mark.parametrize(
    "line",
    ["x", "0" * 64 + "  ../x", "0" * 64 + "  /etc/passwd", "0" * 64 + " x", "\\" + "0" * 64 + "  a\\nb", "é"],
)
def test_sums_that_cannot_be_used_are_a_failed_check(cli: Callable, out: Path, line: str) -> None:
    with (out / "SHA256SUMS").open("a") as file:
        file.write(f"{line}\n")
    number = len(list(out.iterdir()))  # a line for every file but the sums, then this one
    done = cli("verify", out)
    assert done.code == 1
    assert f"SHA256SUMS cannot be used: line {number}" in done.err


def test_flags_that_need_the_checkpoint(cli: Callable, out: Path) -> None:
    for words in (("--level", "bytes"), ("--dialect", "nanogpt"), ("--set", "heads=3")):
        done = cli("verify", out, *words)
        assert done.code == 2
        assert f"{words[0]} needs --against" in done.err
