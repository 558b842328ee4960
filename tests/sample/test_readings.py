"""The answers that are tried, and the readings they amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.checkpoints import open_checkpoint
from ckpt2hf.dialects import candidates, dialect, said_on_command_line
from ckpt2hf.dialects.usual import DIVISORS, NUMBERS, TOGETHER, group, usual
from ckpt2hf.ir import FIELDS, parse_field
from ckpt2hf.run import readings
from ckpt2hf.run.readings import Space, asked_of_code, asked_of_sample, distinct

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def space(trained: Any) -> Space:
    """The fused model with nothing but its dialect known."""
    checkpoint = open_checkpoint(trained.six)
    (candidate,) = candidates(checkpoint, dialect("nanogpt"), {})
    return asked_of_sample(checkpoint, candidate, {})


def test_every_usual_answer_is_one_that_set_takes() -> None:
    for field in {*NUMBERS, *DIVISORS, "activation", "norm_placement", "attention_scale"} & set(FIELDS):
        answers = usual(field, {"d_model": 48})
        assert len({parse_field(field, answer) for answer in answers}) == len(answers) > 1


def test_every_number_says_where_it_comes_from() -> None:
    assert all(each.source and len(set(each.answers)) == len(each.answers) for each in NUMBERS.values())


def test_an_enumeration_needs_no_entry_and_any_number_has_none() -> None:
    assert usual("final_norm", {}) == ("true", "false")
    assert usual("activation", {}) == ("gelu", "gelu_tanh", "relu", "silu")
    assert usual("d_ff", {"d_model": 48}) == ()
    assert usual("heads", {}) == ()
    assert usual("heads", {"d_model": 12}) == ("1", "2", "3", "4", "6", "12")


def test_a_question_without_answers_is_not_answered_by_what_the_dialect_says(
    trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readings, "usual", lambda _field, _known: ())
    checkpoint = open_checkpoint(trained.six)
    (candidate,) = candidates(checkpoint, dialect("nanogpt"), {})
    assert asked_of_sample(checkpoint, candidate, {}).answers["heads"] == ()


def test_a_field_belongs_to_one_group() -> None:
    fields = [field for fields in TOGETHER for field in fields]
    assert len(set(fields)) == len(fields)
    assert "heads" in group("attention_scale")
    assert group("activation") == ("activation",)


def test_a_space_is_the_product_of_its_answers(space: Space) -> None:
    assert set(space.answers) == {"heads", "activation"}
    assert space.size == 20
    every = list(space.everything())
    assert len(every) == len(distinct(every)) == 20
    assert {reading.spec.heads for reading in every} == {1, 2, 3, 4, 6, 8, 12, 16, 24, 48}


def test_beside_is_what_differs_in_one_group(space: Space) -> None:
    beside = {tuple(reading.answers.values()) for reading in space.beside({"heads": "6", "activation": "gelu"})}
    assert len(beside) == 11
    assert ("6", "gelu_tanh") in beside
    assert ("4", "gelu_tanh") not in beside


def test_answers_that_do_not_fit_are_no_reading(space: Space) -> None:
    assert space.read({"heads": "5", "activation": "gelu"}) is None


def test_one_head_makes_both_scales_the_same_function(trained: Any) -> None:
    checkpoint = open_checkpoint(trained.six)
    said = said_on_command_line(["attention_scale=d_model**-0.5"])
    (candidate,) = candidates(checkpoint, dialect("nanogpt"), said.facts)
    space = asked_of_sample(checkpoint, candidate, said.facts)
    every = list(space.everything())
    assert (len(every), len(distinct(every))) == (40, 38)
    assert set(space.stands) == {"attention_scale"}
    assert every[0].respectful
    assert sum(reading.respectful for reading in every) == 20
    # Heads and scale change each other's effect: beside a reading are all combinations of both.
    assert len({(r.spec.heads, str(r.spec.attention_scale)) for r in space.beside(every[0].answers)}) == 20


def test_code_is_asked_about_eps_as_well(trained: Any) -> None:
    checkpoint = open_checkpoint(trained.six)
    (candidate,) = candidates(checkpoint, dialect("nanogpt"), {})
    space = asked_of_code(checkpoint, candidate, {})
    assert set(space.answers) == {"heads", "activation", "norm_eps"}
    assert "1e-05" in space.answers["norm_eps"]


def test_layouts_that_mean_the_same_are_one_reading(example: Path) -> None:
    checkpoint = open_checkpoint(example / "az_llm_mini_final.pt")
    spaces = [asked_of_sample(checkpoint, each, {}) for each in candidates(checkpoint, None, {})]
    every = [reading for space in spaces for reading in space.everything()]
    assert {each.candidate.fit.dialect.id for each in spaces} == {"az-course", "fcc", "karpathy-lecture"}
    assert len(distinct(every)) < len(every)
    # Each function is read as the dialect that says so itself.
    chosen = {(r.spec.activation.value, r.candidate.fit.dialect.id) for r in distinct(every) if r.strain == 0}
    assert {("gelu", "az-course"), ("relu", "karpathy-lecture")} <= chosen
