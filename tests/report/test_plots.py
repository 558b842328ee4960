"""Axes and labels of plots."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.report.html.plots import Series, layers_plot, scales
from ckpt2hf.report.html.plots.labels import Box, Field, spread

PLACES = st.lists(st.floats(-50, 350, allow_nan=False), min_size=1, max_size=20)


@given(PLACES)
def test_labels_are_apart_in_order_and_in_bounds(places: list[float]) -> None:
    found = spread(places, 15, 0, 300)
    order = sorted(range(len(places)), key=places.__getitem__)
    moved = [found[k] for k in order]
    assert all(later - earlier >= 15 - 1e-6 for earlier, later in pairwise(moved))
    assert moved[0] >= -1e-6
    assert moved[-1] <= 300 + 1e-6


@given(st.lists(st.integers(1, 18), min_size=1, max_size=18, unique=True))
def test_labels_that_have_room_stay(places: list[int]) -> None:
    assert spread([16.0 * place for place in places], 15, 0, 300) == pytest.approx([16.0 * place for place in places])


def test_too_many_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        spread([0.0] * 22, 15, 0, 300)


@given(st.lists(st.floats(1e-12, 1e3), min_size=1, max_size=20))
def test_a_logarithmic_axis_has_all_values_and_at_least_two_names(values: list[float]) -> None:
    axis = scales.decades(values, 400, 0)
    assert all(-1e-6 <= axis.at(value) <= 400 + 1e-6 for value in values)
    assert 2 <= len(axis.ticks) <= 12
    assert axis.at(axis.low) == pytest.approx(400)


@given(st.lists(st.floats(1, 1e13), min_size=1, max_size=20))
def test_an_axis_of_sizes_has_all_values_and_names_that_differ(values: list[float]) -> None:
    axis = scales.sizes(values, 50, 900, 7)
    assert all(50 - 1e-6 <= axis.at(value) <= 900 + 1e-6 for value in values)
    assert axis.ticks
    names = [scales.size_word(tick) for tick in axis.ticks]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("value", "words"), [(1e-4, "10⁻⁴"), (2e-12, "2·10⁻¹²"), (1.0, "10⁰"), (5e2, "5·10²"), (1e-3, "10⁻³")]
)
def test_powers_are_written_as_people_write_them(value: float, words: str) -> None:
    assert scales.power(value) == words


@given(st.lists(st.tuples(st.floats(60, 300), st.floats(60, 300)), min_size=1, max_size=20))
def test_a_label_lies_on_nothing(points: list[tuple[float, float]]) -> None:
    room = Field(Box(0, 0, 360, 360))
    for x, y in points:
        room.occupy(x, y, 5)
    taken = list(room.taken)
    for x, y in points:
        placed = room.place(x, y, ["onnx-q4f16"])
        if placed is None:
            assert len(points) > 1
            continue
        assert placed.box.within(room.area)
        assert not any(placed.box.meets(other) for other in taken)
        taken.append(placed.box)


def test_layers_that_do_not_differ_share_a_line() -> None:
    one = Series("one", (0.01, 0.02), (0.03, 0.04), 0.05)
    drawn = layers_plot([one, Series("two", *(one.keys, one.values), one.logits)], width=960, stacked=False, key="k")
    assert drawn.count('class="line"') == 2
    assert drawn.count(">one</text>") == drawn.count(">two</text>") == 1


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_no_number_is_not_drawn(wrong: float) -> None:
    assert not layers_plot([Series("x", (0.1, wrong), (0.1, 0.1), 0.1)], width=960, stacked=False, key="k")


def test_a_layer_without_any_error_interrupts_its_line() -> None:
    drawn = layers_plot([Series("x", (0.1, 0.0, 0.1, 0.2), (0.1,) * 4, 0.1)], width=960, stacked=False, key="k")
    path = next(part for part in drawn.split("<path ") if 'class="line"' in part)
    assert path.count("M") == 2
