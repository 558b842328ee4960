"""Drafts of the golden checkpoints, whose true places are known: right, asked, or wrong, with figures.

With their own names, without the words of any built-in dialect, and with every word of the names exchanged for one
that means nothing, so that only shapes and values are left.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from ckpt2hf.api import Request, dialect, dialects, plan
from ckpt2hf.dialects import Said, detect, merged, said_on_command_line
from ckpt2hf.dialects.draft import draft, render
from ckpt2hf.ir import FIELDS, plain
from ckpt2hf.plan import PlanOptions, make_plan
from drafts import Score, Truth, answer, by_truth, renamed
from support import EVERY_FLAGS, SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.dialects.draft import Draft

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
SEEDS = range(5)
EVERY = sorted(EVERY_FLAGS)


@cache
def truth(name: str) -> Truth:
    return Truth.of(plan(Request(source=GOLDEN / name / SOURCES.get(name, "checkpoint.pt"), **EVERY_FLAGS[name])))


def own_names(name: str) -> list[tuple[Draft, Truth]]:
    true = truth(name)
    return [(draft(true.checkpoint), true)]


def unknown_words(name: str) -> list[tuple[Draft, Truth]]:
    true = truth(name)
    return [(draft(true.checkpoint, [known.id for known in dialects()]), true)]


def shuffled_words(name: str) -> list[tuple[Draft, Truth]]:
    trues = [truth(name).renamed(renamed(list(truth(name).checkpoint.tensors), seed)) for seed in SEEDS]
    return [(draft(true.checkpoint), true) for true in trues]


WAYS: dict[str, Callable[[str], list[tuple[Draft, Truth]]]] = {
    "their own names": own_names,
    "without the words of any built-in dialect": unknown_words,
    "every word exchanged for one that means nothing": shuffled_words,
}


NOTHING_LEFT = "every word exchanged for one that means nothing"
WORDS_OF_THEIR_OWN = {"clean_transformer_arena", "rasbt_gpt_noqkvbias", "rasbt_gpt_qkvbias_ckptdict"}
"""Cases whose norms have a `scale` and a `shift`, or a `w` and a `b`: with these words exchanged nothing pairs them."""
CASES = [(way, name) for way in WAYS for name in EVERY if way != NOTHING_LEFT or name not in WORDS_OF_THEIR_OWN]


@pytest.mark.parametrize("way", WAYS)
def test_no_tensor_is_placed_wrongly_and_the_figures_are_those_of_the_guide(way: str) -> None:
    score = Score()
    for name in (name for each, name in CASES if each == way):
        for made, true in WAYS[way](name):
            score.add(made, true)
    assert not score.wrong
    assert not score.tensors["asked without the answer"]
    total = sum(score.tensors.values())
    told = {what: round(100 * score.tensors[what] / total) for what in ("right", "asked", "left out")}
    page = (ROOT / "docs" / "add-a-dialect.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| {way} \| (\d+) % \| (\d+) % \| (\d+) % \| 0 \|$", page, re.MULTILINE)
    assert found, (way, told)
    assert told == dict(zip(told, map(int, found.groups()), strict=True))


@pytest.mark.parametrize("name", sorted(WORDS_OF_THEIR_OWN))
def test_where_nothing_pairs_weight_and_bias_nothing_is_placed_wrongly(name: str) -> None:
    score = Score()
    for made, true in shuffled_words(name):
        score.add(made, true)
    assert not score.wrong


@pytest.mark.parametrize(("way", "name"), CASES)
def test_true_answers_make_a_dialect_that_gives_the_true_model(way: str, name: str, tmp_path: Path) -> None:
    for made, true in WAYS[way](name):
        own = tmp_path / "mine.toml"
        text = re.sub(r"^target = .*$", f'target = "{true.target}"', render(made), flags=re.MULTILINE)
        own.write_text(answer(text, by_truth(made, true)), encoding="utf-8")
        values = [f"{field}={plain(getattr(true.spec, field))}" for field in said(made, true)]
        candidate = detect(true.checkpoint, dialect(own), merged(said_on_command_line(values), Said({}, {})).facts)
        assert candidate.resolution.spec == true.spec
        again = Truth.of(make_plan(true.checkpoint, candidate, PlanOptions(dtype=None, token_ids={})))
        assert again.slots.keys() == true.slots.keys()
        assert all(np.array_equal(again.slots[slot], true.slots[slot]) for slot in true.slots)


def said(made: Draft, true: Truth) -> set[str]:
    """The facts a person has to say: what is asked, and what such a model has and its family has not."""
    spec = true.spec.as_json()
    family = {name: value for name, value in made.family_facts.items() if name in FIELDS}
    others = {name for name, value in family.items() if value not in {json.dumps(spec[name]).strip('"'), *FIELDS}}
    return {*made.questions, *(name for name in others if differs(family[name], spec[name]))}


def differs(told: str, value: Any) -> bool:
    try:
        return float(told) != float(value)
    except ValueError:
        return True
