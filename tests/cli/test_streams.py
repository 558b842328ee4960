"""Data goes to stdout, talk to stderr; `--json` is one document, `--quiet` is silence, a closed pipe is no error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.api import dialect_text

if TYPE_CHECKING:
    from collections.abc import Callable

BYTES = ("--verify", "bytes")


def test_convert_talks_on_stderr_and_sums_up_on_stdout(cli: Callable, mini: Path, decided: tuple) -> None:
    done = cli("convert", mini, "-o", "out", *decided, *BYTES)
    assert done.code == 0
    assert "proved    out  (level bytes)" in done.out
    assert "ckpt2hf: write" in done.err
    assert "ckpt2hf: " not in done.out
    assert "\x1b" not in done.text


def test_convert_as_json_is_the_report(cli: Callable, mini: Path, tmp_path: Path, decided: tuple) -> None:
    done = cli("convert", mini, "-o", "out", *decided, *BYTES, "--json")
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    kept = json.loads((tmp_path / "out" / "conversion.json").read_text(encoding="utf-8"))
    assert kept.items() <= shown.items()
    assert shown.keys() - kept.keys() == {"created", "seconds", "peak_memory_bytes"}


def test_the_same_conversion_leaves_the_same_bytes(cli: Callable, mini: Path, tmp_path: Path, decided: tuple) -> None:
    made = []
    for _ in range(2):
        assert cli("convert", mini, "-o", "out", *decided, *BYTES, "--force").code == 0
        made.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert made[0] == made[1]


@pytest.mark.parametrize("command", ["plan", "inspect"])
def test_reading_as_json(cli: Callable, mini: Path, decided: tuple, command: str) -> None:
    done = cli(command, mini, *decided, "--json")
    assert (done.code, done.err) == (0, "")
    assert isinstance(json.loads(done.out), dict)


def test_dialects_as_json(cli: Callable) -> None:
    done = cli("dialects", "--json")
    assert (done.code, done.err) == (0, "")
    assert {"az-course", "nanogpt", "mingpt"} <= {known["id"] for known in json.loads(done.out)}


def test_verify_as_json(cli: Callable, mini: Path, finished: Path) -> None:
    done = cli("verify", finished, "--against", mini, "--level", "bytes", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["proved"] is True


@pytest.mark.parametrize("words", [["convert", "model.pt", "-o", "out"], ["plan", "model.pt"]], ids=lambda w: w[0])
@pytest.mark.usefixtures("mini")
def test_a_refusal_as_json_leaves_stdout_empty(cli: Callable, words: list[str]) -> None:
    done = cli(*words, "--json")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[facts]: ")


def test_quiet_is_silent_on_success(cli: Callable, mini: Path, finished: Path, decided: tuple) -> None:
    done = cli("convert", mini, "-o", "out", *decided, *BYTES, "--quiet")
    assert (done.code, done.text) == (0, "")
    done = cli("verify", finished, "--against", mini, "--level", "bytes", "-q")
    assert (done.code, done.text) == (0, "")


def test_quiet_still_says_why_not(cli: Callable, mini: Path) -> None:
    done = cli("convert", mini, "-o", "out", "--quiet")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error[facts]: ")


def test_the_remedy_is_a_command_that_works(cli: Callable, mini: Path) -> None:
    refused = cli("convert", mini, "-o", "out dir", "--dialect", "az-course", *BYTES)
    assert refused.code == 2
    remedy = next(line.partition("next")[2] for line in refused.err.splitlines() if line.startswith("  next"))
    beside = Path(sys.executable).parent
    done = subprocess.run(f"cd '{mini.parent}' && {beside}/{remedy.strip()}", shell=True, check=False)  # noqa: S602
    assert done.returncode == 0
    assert (mini.parent / "out dir" / "model.safetensors").exists()


def test_show_prints_the_file_of_a_dialect(cli: Callable) -> None:
    done = cli("dialects", "show", "nanogpt")
    assert (done.code, done.out, done.err) == (0, dialect_text("nanogpt"), "")


def test_show_of_an_unknown_dialect(cli: Callable) -> None:
    done = cli("dialects", "show", "nanogtp")
    assert (done.code, done.out) == (2, "")
    assert "there is no dialect" in done.err


def test_version_and_help(cli: Callable) -> None:
    assert cli("--version").out.startswith("ckpt2hf ")
    for words in ([], ["convert"], ["plan"], ["inspect"], ["verify"], ["dialects"]):
        done = cli(*words, "--help")
        assert done.code == 0
        assert "Usage:" in done.out


@pytest.mark.parametrize("words", [["plan"], ["dialects", "show", "az-course"], ["inspect", "--json"]])
def test_a_reader_that_goes_away_is_no_error(mini: Path, decided: tuple, words: list[str]) -> None:
    command, *rest = words
    reading = [mini, *decided] if command != "dialects" else []
    program = Path(sys.executable).with_name("ckpt2hf")
    with subprocess.Popen(
        [program, command, *rest, *reading], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0
