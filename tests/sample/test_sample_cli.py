"""`--sample` as a person meets it: the table on the terminal, in JSON, in errors, and progress beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEADS = ("--dialect", "nanogpt", "--set", "activation=gelu_tanh")


@pytest.mark.parametrize("command", ["plan", "inspect", "convert"])
def test_the_table_is_shown_where_a_sample_decides(
    command: str, trained: Any, cli: Callable[..., Any], tmp_path: Path
) -> None:
    more = ["-o", tmp_path / "out", "--verify", "bytes"] if command == "convert" else []
    done = cli(command, trained.six, "--sample", trained.ids, *HEADS, *more)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    head = next(k for k, line in enumerate(lines) if line.startswith("sample"))
    assert "6144 of" in lines[head]
    assert "128 windows of 48" in lines[head]
    assert lines[head + 1].split() == ["loss", "more", "by", "+-", "p", "on", "reading"]
    assert lines[head + 2].split()[1:4] == ["best", "128", "heads=6"]
    assert any("no context: how often each token occurs" in line for line in lines)
    assert "ckpt2hf: sample: 16 windows for each reading, of " in done.stderr


def test_json_holds_the_whole_table(trained: Any, cli: Callable[..., Any]) -> None:
    planned = json.loads(cli("plan", trained.six, "--sample", trained.ids, *HEADS, "--json").stdout)
    seen = json.loads(cli("inspect", trained.six, "--sample", trained.ids, *HEADS, "--json").stdout)
    assert planned["evidence"] == seen["sample"]["evidence"]
    assert planned["evidence"]["decided"] == {"heads": "6"}
    assert len(planned["evidence"]["readings"]) == planned["evidence"]["combinations"]
    assert seen["sample"]["refused"] is None
    without = json.loads(cli("plan", trained.six, *HEADS, "--set", "heads=6", "--json").stdout)
    assert without["evidence"] is None


def test_inspect_shows_the_table_also_where_nothing_is_decided(trained: Any, cli: Callable[..., Any]) -> None:
    done = cli("inspect", trained.untrained, "--sample", trained.ids, "--dialect", "nanogpt")
    assert done.returncode == 0
    assert "not shown to be worse: no context" in done.stdout
    assert "refused   the sample decides nothing" in done.stdout


def test_a_refusal_ends_with_commands_that_work(trained: Any, cli: Callable[..., Any], tmp_path: Path) -> None:
    words = ("convert", trained.six, "-o", tmp_path / "out", "--sample", trained.ids, "--dialect", "nanogpt")
    done = cli(*words, "--set", "heads=4", "--set", "activation=gelu")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-6:] != []
    assert "error[facts]: the sample contradicts --set heads=4" in done.stderr
    remedy = next(line for line in done.stderr.splitlines() if line.strip().startswith("next"))
    assert "--set heads=4" not in remedy
    assert "--set heads=6" in remedy
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_fits_the_terminal(columns: int, example: Path, cli: Callable[..., Any]) -> None:
    words = ("az_llm_mini_final.pt", "--sample", "heldout.npy")
    shown = cli("plan", *words, "--dialect", "az-course", cwd=example, columns=columns)
    refused = cli("plan", *words, cwd=example, columns=columns)
    assert (shown.returncode, refused.returncode) == (0, 2)
    table = [line for line in shown.stdout.splitlines() if line.startswith("sample")]
    assert table
    lines = shown.stdout.partition("sample")[2].partition("rewrites")[0].splitlines()
    assert max(map(len, [*lines, *refused.stderr.splitlines()])) <= columns


def test_wrong_words_are_refused_at_once(trained: Any, cli: Callable[..., Any]) -> None:
    both = cli("plan", trained.six, "--sample", trained.ids, "--reference", "model.py:GPT")
    assert (both.returncode, "both decide" in both.stderr) == (2, True)
    gone = cli("plan", trained.six, "--sample", "gone.bin")
    assert (gone.returncode, "there is no file gone.bin" in gone.stderr) == (2, True)
    dtype = cli("plan", trained.six, "--sample", trained.ids, "--sample-dtype", "uint16")
    assert (dtype.returncode, "--sample-dtype is about .bin files only" in dtype.stderr) == (2, True)
    text = cli("plan", trained.six, "--sample", trained.text)
    assert (text.returncode, "--tokenizer FILE" in text.stderr) == (2, True)


def test_who_is_asked_for_facts_is_told_about_samples(trained: Any, cli: Callable[..., Any]) -> None:
    done = cli("plan", trained.six, "--dialect", "nanogpt")
    assert done.returncode == 2
    assert "--sample text.txt" in done.stderr


@pytest.mark.parametrize("command", ["plan", "inspect"])
def test_what_no_sample_can_be_asked_is_said(
    command: str, repository: Path, trained: Any, cli: Callable[..., Any]
) -> None:
    done = cli(command, repository / "tests" / "golden" / "lfs_llama3" / "model.pth", "--sample", trained.ids)
    assert "the sample cannot be asked for context" in done.stdout + done.stderr
    assert "--set context=N" in done.stdout + done.stderr
