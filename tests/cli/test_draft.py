"""`ckpt2hf inspect --draft` on the command line: what is told, written, refused."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def unknown(folder: Path) -> Path:
    """The weights of a small GPT under names of nobody."""
    made = torch.Generator().manual_seed(0)
    block = {"x": (12, 12), "y": (12, 12), "z": (12, 12), "o": (12, 12), "in": (48, 12), "out": (12, 48)}
    shapes = {"words": (31, 12), "places": (8, 12), "tail": (31, 12)}
    shapes |= {f"deck.{i}.{name}": shape for i in range(2) for name, shape in block.items()}
    state = {f"{name}.weight": torch.randn(shape, generator=made) for name, shape in shapes.items()}
    for name in ("deck.0.n", "deck.1.n", "deck.0.m", "deck.1.m", "end"):
        state |= {f"{name}.{leaf}": torch.randn(12, generator=made) for leaf in ("weight", "bias")}
    torch.save(state, folder / "it's mine.pt")
    return folder / "it's mine.pt"


def test_a_draft_is_told_and_written(cli: Callable[..., Any], tmp_path: Path) -> None:
    source = unknown(tmp_path)
    done = cli("inspect", source.name, "--draft", "mine.toml")
    assert done.code == 0, done.err
    assert "built in" not in done.out
    assert "placed    " in done.out
    assert "deck.{i}.x [12, 12]  which part of the model is it?" in done.out
    assert """ckpt2hf inspect 'it'"'"'s mine.pt' --dialect ./mine.toml""" in done.out
    tomllib.loads((tmp_path / "mine.toml").read_text(encoding="utf-8"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    refused = cli("inspect", source.name, "--dialect", "mine.toml")
    assert refused.code == 2
    assert "is a draft with" in refused.err
    assert "mine.toml:" in refused.err


def test_the_same_as_data(cli: Callable[..., Any], tmp_path: Path) -> None:
    found = json.loads(cli("inspect", unknown(tmp_path).name, "--draft", "mine.toml", "--json").out)
    every = [each["tensors"] for part in ("placed", "asked", "left_out") for each in found[part]]
    assert len(every) == len(set(every)) == 15
    assert all(each["confidence"] >= 0.9 for each in found["placed"])
    assert all(each["answers"] for each in found["asked"])
    assert (found["family"], found["target"], found["built_in"]) == ("gpt", "gpt2", [])


def test_nothing_is_overwritten_and_nothing_contradicted(cli: Callable[..., Any], tmp_path: Path) -> None:
    source = unknown(tmp_path)
    (tmp_path / "mine.toml").write_text("mine", encoding="utf-8")
    refused = cli("inspect", source.name, "--draft", "mine.toml")
    assert refused.code == 2
    assert "mine.toml is there already" in refused.err
    assert "--force" in refused.err
    assert (tmp_path / "mine.toml").read_text(encoding="utf-8") == "mine"
    assert cli("inspect", source.name, "--draft", "mine.toml", "--force").code == 0
    assert (tmp_path / "mine.toml").read_text(encoding="utf-8") != "mine"
    for words in (
        ("--draft", "a.toml", "--dialect", "nanogpt"),
        ("--draft", "a.toml", "--set", "heads=3"),
        ("--force",),
    ):
        assert cli("inspect", source.name, *words).code == 2, words
    for out in ("no/mine.toml", "mine.txt", "."):
        assert cli("inspect", source.name, "--draft", out).code == 2, out
    assert not (tmp_path / "a.toml").exists()


def test_a_built_in_dialect_that_fits_is_told_first(cli: Callable[..., Any], mini: Path) -> None:
    done = cli("inspect", mini.name, "--draft", "mine.toml")
    assert done.out.startswith("built in  az-course: ")


def test_what_nobody_knows_leads_to_a_draft(cli: Callable[..., Any], tmp_path: Path) -> None:
    source = unknown(tmp_path)
    refused = cli("convert", source.name, "-o", "out")
    assert refused.code == 1
    assert """ckpt2hf inspect 'it'"'"'s mine.pt' --draft mine.toml""" in refused.err
    assert "--draft mine.toml" in cli("inspect", source.name).out
