"""Pattern laws, and folding of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.naming import Pattern, collapse

LITERALS = st.text("abz_.", min_size=1, max_size=8)
NUMBERS = st.integers(0, 10**6)


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    variables = draw(st.permutations(["i", "h"]))[: draw(st.integers(0, 2))]
    text = draw(LITERALS)
    for variable in variables:
        counted = draw(st.sampled_from(["", "2", "3"])) + variable + draw(st.sampled_from(["", "+1", "+2"]))
        text += f".{{{counted}}}." + draw(LITERALS)
    return Pattern(text)


@given(patterns(), NUMBERS, NUMBERS)
def test_match_undoes_format(pattern: Pattern, i: int, h: int) -> None:
    values = {name: value for name, value in {"i": i, "h": h}.items() if name in pattern.variables}
    assert pattern.match(pattern.format(values)) == values


@given(patterns(), st.text("abz_.0123456789", max_size=20))
def test_format_undoes_match(pattern: Pattern, name: str) -> None:
    values = pattern.match(name)
    assert values is None or pattern.format(values) == name


@pytest.mark.parametrize("name", ["h.01.w", "h.-1.w", "h..w", "h.1.wx", "xh.1.w", "h.1xw", "h.٣.w"])
def test_only_canonical_numbers_match(name: str) -> None:
    assert Pattern("h.{i}.w").match(name) is None


@pytest.mark.parametrize("text", ["a.{x}", "a.{i}.{i}", "", "a.{}"])
def test_bad_patterns_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Pattern(text)


def test_sublayers_that_are_numbered_through() -> None:
    even, odd = Pattern("layers.{2i}.w"), Pattern("layers.{2i+1}.w")
    assert [even.match(f"layers.{n}.w") for n in range(4)] == [{"i": 0}, None, {"i": 1}, None]
    assert [odd.match(f"layers.{n}.w") for n in range(4)] == [None, {"i": 0}, None, {"i": 1}]
    assert odd.format({"i": 3}) == "layers.7.w"
    assert Pattern("{i+1}.w").match("0.w") is None


def test_names_fold() -> None:
    names = [f"h.{i}.head.{h}.w" for i in range(12) for h in range(3)] + ["ln_f.weight", "h.0.x", "h.2.x"]
    assert collapse(names) == ["h.{0..11}.head.{0..2}.w", "ln_f.weight", "h.{0,2}.x"]


def test_names_that_are_no_grid_do_not_fold_wrongly() -> None:
    assert collapse(["a.0.b.1", "a.1.b.0"]) == ["a.0.b.1", "a.1.b.0"]


@given(st.lists(st.text("ab{}.0", min_size=1, max_size=6), max_size=6))
def test_folding_survives_any_name(names: list[str]) -> None:
    assert all(isinstance(name, str) for name in collapse(names))
