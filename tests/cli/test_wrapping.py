"""How lines are laid out for people: columns stay columns, commands stay commands."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from ckpt2hf.cli.console import wrapped
from ckpt2hf.cli.remedies import folded, whole_commands

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = ["convert", "a b.pt", "-o", "out", "--set", "heads=3", "--dtype=bf16"]


def told(remedy: str, command: Sequence[str] = COMMAND, *, replaceable_only: bool = False) -> list[tuple[str, str]]:
    return list(whole_commands([remedy], command, replaceable_only=replaceable_only))


def test_text_that_fits_is_left_alone() -> None:
    assert wrapped("a  b", 10) == ["a  b"]
    assert wrapped("a very long line indeed", None) == ["a very long line indeed"]
    assert wrapped("", 10) == [""]


def test_later_lines_stand_under_the_last_column() -> None:
    assert wrapped("heads  12  one two three four", 20) == ["heads  12  one two", "           three", "           four"]


def test_a_long_word_is_never_cut() -> None:
    path = "runs/" + "x" * 40
    assert path in wrapped(f"in {path} it is", 20)


def test_a_flag_becomes_the_whole_command() -> None:
    assert told("--dialect nanogpt") == [
        ("ckpt2hf convert 'a b.pt' -o out --set heads=3 --dtype=bf16 --dialect nanogpt", "")
    ]


def test_a_flag_takes_the_place_of_what_it_contradicts() -> None:
    assert told("--set heads=4")[0][0] == "ckpt2hf convert 'a b.pt' -o out --dtype=bf16 --set heads=4"
    assert told("--dtype float32")[0][0] == "ckpt2hf convert 'a b.pt' -o out --set heads=3 --dtype float32"
    assert told("--set 'd_ff=4'")[0][0].endswith("--set heads=3 --dtype=bf16 --set d_ff=4")
    again = told("--verify bytes", ["verify", "out", "--level", "logits"])
    assert again == [("ckpt2hf verify out --level bytes", "")]


def test_alternatives_become_commands_of_their_own() -> None:
    made = [words for words, _ in told("--dialect x --set 'a=1*2'|--set a=3", ["plan", "f"])]
    assert made == ["ckpt2hf plan f --dialect x --set 'a=1*2'", "ckpt2hf plan f --dialect x --set a=3"]


def test_comments_and_sentences_are_kept_apart() -> None:
    assert told("--force   to replace it", ["convert", "f"]) == [("ckpt2hf convert f --force", "to replace it")]
    assert told("choose another -o") == [("choose another -o", "")]
    assert told("--set heads=12", replaceable_only=True) == [("--set heads=12", "")]
    assert told("--dialect x", []) == [("--dialect x", "")]


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_folded_command_is_the_same_command(width: int) -> None:
    command = shlex.join(["ckpt2hf", "convert", "a -b.pt", "-o", "out", "--set", "attention_scale=head_dim**-0.5"])
    lines = folded(command, width)
    assert all(len(line) <= width for line in lines)
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == shlex.split(command)


def test_a_folded_sentence_stays_text() -> None:
    assert folded("one two three", 8) == ["one two", "three"]
    assert folded("one two three", None) == ["one two three"]
