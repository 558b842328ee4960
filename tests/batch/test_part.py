"""Parts of a batch: together they are all of it, none does another's work, and nobody has to agree on a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckpt2hf.batch.part import Part, parsed
from ckpt2hf.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES = st.sets(st.text(st.characters(exclude_categories=())), max_size=30)
"""File names that are no text are among them, as lone surrogates."""


@settings(max_examples=200, deadline=None)
@given(names=NAMES, count=st.integers(1, 12))
def test_parts_are_disjoint_and_complete(names: set[str], count: int) -> None:
    try:
        parts = [{name for name in names if Part(i, count).has(name)} for i in range(1, count + 1)]
    except UnicodeEncodeError:  # a surrogate that no file name can stand for
        assert any("\ud800" <= sign < "\udc80" or "\udcff" < sign <= "\udfff" for name in names for sign in name)
        return
    assert sum(map(len, parts)) == len(names)
    assert set().union(*parts) == names


@settings(max_examples=100, deadline=None)
@given(one=NAMES, other=NAMES, count=st.integers(2, 6))
def test_machines_that_see_different_lists_still_do_nothing_twice(one: set[str], other: set[str], count: int) -> None:
    texts = [{name for name in names if name.isprintable()} for names in (one, other)]
    mine = {name for name in texts[0] if Part(1, count).has(name)}
    theirs = {name for i in range(2, count + 1) for name in texts[1] if Part(i, count).has(name)}
    assert not mine & theirs
    assert texts[0] & texts[1] <= mine | theirs


def test_the_split_is_the_same_for_ever() -> None:
    """Another rule would leave half of a batch undone that two versions of ckpt2hf share."""
    assert [name for name in map(str, range(12)) if Part(1, 3).has(name)] == ["0", "6", "8", "9", "10"]
    assert Part(1, 1).has("anything")


def test_parts_are_about_equal() -> None:
    sizes = [sum(Part(i, 4).has(f"run/step_{k}") for k in range(4000)) for i in range(1, 5)]
    assert min(sizes) > 900


@pytest.mark.parametrize(
    ("text", "environment", "part"),
    [
        (None, {}, (1, 1)),
        ("1/1", {}, (1, 1)),
        (" 3/8 ", {}, (3, 8)),
        ("auto", {"JOB_COMPLETION_INDEX": "0", "CKPT2HF_SHARDS": "4"}, (1, 4)),
        ("auto", {"JOB_COMPLETION_INDEX": "3", "CKPT2HF_SHARDS": "4"}, (4, 4)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_COUNT": "3"}, (3, 3)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_COUNT": "2"}, (1, 2)),
        ("auto", {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "2", "CKPT2HF_SHARDS": "8"}, (2, 8)),
    ],
)
def test_what_is_said_about_parts(text: str | None, environment: Mapping[str, str], part: tuple[int, int]) -> None:
    made = parsed(text, environment)
    assert (made.index, made.count) == part
    assert str(made) == f"{part[0]}/{part[1]}"


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1/0", "-1/2", "1", "1/2/3", "a/b", "1 / 2", "AUTO", "1/2\n1/2"])
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(UsageError, match="--shard does not know"):
        parsed(text, {})


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"JOB_COMPLETION_INDEX": "1"},
        {"JOB_COMPLETION_INDEX": "x", "CKPT2HF_SHARDS": "4"},
        {"JOB_COMPLETION_INDEX": "4", "CKPT2HF_SHARDS": "4"},
        {"JOB_COMPLETION_INDEX": "-1", "CKPT2HF_SHARDS": "4"},
        {"SLURM_ARRAY_TASK_ID": "3"},
        {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "2"},
        {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "2", "SLURM_ARRAY_TASK_COUNT": "2"},
    ],
)
def test_an_array_job_that_makes_no_sense(environment: Mapping[str, str]) -> None:
    with pytest.raises(UsageError, match="--shard auto") as caught:
        parsed("auto", environment)
    assert caught.value.remedies
