"""What output directories are called: unique, none inside another, whatever is found in whatever order."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckpt2hf.batch import naming
from ckpt2hf.batch.naming import Place, names

WORDS = [
    "a",
    "A",
    "b",
    "a.pt",
    "A.PT",
    "a.pth",
    "a.pt-2",
    ".a.pt",
    "..a",
    "model.safetensors",
    "pytorch_model.bin",
    "model.safetensors.index.json",
    "batch.json",
    "Batch.html",
    ".ckpt2hf",
    "x.partial-1",
    "a.pth.tar",
]
PART = st.sampled_from([*WORDS, "ß.pt", "SS.pt", "é.pt", "e\u0301.pt", "a\nb.pt", "\udcff.pt", "x" * 250, "x" * 251])
PLACES = st.lists(
    st.builds(Place, st.lists(PART, max_size=4).map(tuple), st.just("root"), st.booleans()),
    max_size=14,
    unique_by=lambda place: place.parts,
)


def folded(name: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", part).casefold() for part in name)


def check(made: list[tuple[str, ...]]) -> None:
    keys = [folded(name) for name in made]
    assert len(set(keys)) == len(keys)
    every = set(keys)
    assert not [key for key in keys for end in range(1, len(key)) if key[:end] in every]
    for name in made:
        assert name
        assert name[0].casefold() not in naming.RESERVED
        for part in name:
            assert part
            assert not part.startswith(".")
            assert "/" not in part
            assert ".partial-" not in part.casefold()
            assert len(part.encode()) < 230


@given(PLACES)
def test_names_are_unique_and_none_lies_in_another(places: list[Place]) -> None:
    check(names(places, {}))


@given(PLACES, st.randoms(use_true_random=False))
def test_names_do_not_depend_on_the_order(places: list[Place], order: object) -> None:
    before = dict(zip(places, names(places, {}), strict=True))
    order.shuffle(places)  # type: ignore[attr-defined]
    assert dict(zip(places, names(places, {}), strict=True)) == before


@given(PLACES)
def test_what_collides_with_nothing_keeps_its_name(places: list[Place]) -> None:
    alone = [names([place], {})[0] for place in places]
    keys = [folded(name) for name in alone]
    made = names(places, {})
    for k, key in enumerate(keys):
        others = [other for j, other in enumerate(keys) if j != k]
        if not any(key == other[: len(key)] or other == key[: len(other)] for other in others):
            assert made[k] == alone[k]


@given(PLACES, st.data())
def test_names_that_were_chosen_stay(places: list[Place], data: st.DataObject) -> None:
    if places:
        k = data.draw(st.integers(0, len(places) - 1))
        made = names(places, {k: ("a", "b")})
        assert made[k] == ("a", "b")
        check(made)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["a.pt", "b/c.ckpt"], ["a", "b/c"]),
        (["a.pt", "a.pth"], ["a.pt", "a.pth"]),
        (["a.pt", "a/b.pt"], ["a.pt", "a/b"]),
        (["a.pt", "A.pt"], ["a.pt-2", "A.pt"]),
        (["x/model.safetensors"], ["x"]),
        (["model.safetensors"], ["root"]),
        (["x/model.safetensors", "x/model_1.safetensors"], ["x/model", "x/model_1"]),
        (["x/model.safetensors", "x/deep/model.safetensors"], ["x/model", "x/deep"]),
        (["x/model.safetensors", "x.pt"], ["x/model", "x.pt"]),
        (["best.pth.tar", "epoch=9-step=1.ckpt", "v1.2"], ["best", "epoch=9-step=1", "v1.2"]),
        (["batch.json.pt", ".ckpt2hf/a.pt", ".x.pt"], ["_batch.json", "_ckpt2hf/a", "_x"]),
        (["deep/batch.json.pt"], ["deep/batch.json"]),
        (["a.partial-1.pt"], ["a_partial-1"]),
    ],
)
def test_some_names(found: list[str], expected: list[str]) -> None:
    places = [Place(tuple(path.split("/")), "root") for path in found]
    assert ["/".join(name) for name in names(places, {})] == expected


def test_thousands_of_equal_names_are_settled() -> None:
    places = [Place((f"d{k}", "model.safetensors"), "root") for k in range(3000)]
    assert len(set(names(places, {}))) == 3000
    places = [Place(("a", f"x{end}"), "root") for end in (".pt", ".pth", ".ckpt", ".bin")]
    check(names(places, {}))
