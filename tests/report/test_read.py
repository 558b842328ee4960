"""conversion.json read back: the same tree, or a refusal that says what is other."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.errors import NotFoundError, UsageError
from ckpt2hf.report import read_report
from ckpt2hf.report.report import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import GoldenCase


def test_every_report_comes_back(converted: Callable, every_golden: GoldenCase) -> None:
    out, report = converted(every_golden.name)
    read = read_report(out / "conversion.json")
    assert read.lasting() == json.loads((out / "conversion.json").read_text(encoding="utf-8"))
    assert read.target == report.target
    assert read.tensors == report.tensors
    assert read.verdict == report.verdict


def places(tree: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Every object in a tree that is one of our classes: not the free-form ones."""
    free = {"versions", "spec", "options", "numbers", "value"}
    if isinstance(tree, dict):
        yield at
        for key, value in tree.items():
            if key not in free:
                yield from places(value, (*at, key))
    if isinstance(tree, list) and tree:
        yield from places(tree[0], (*at, 0))


def within(tree: Any, at: tuple[str | int, ...]) -> Any:
    for step in at:
        tree = tree[step]
    return tree


@pytest.fixture
def tree(converted: Callable) -> dict[str, Any]:
    """A report with a rewrite, a sha256 and a check."""
    out, _ = converted("az50_v2")
    found: dict[str, Any] = json.loads((out / "conversion.json").read_text(encoding="utf-8"))
    return found


def refused(path: Path, tree: object) -> UsageError:
    path.write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(UsageError, match="is not a report of ckpt2hf") as caught:
        read_report(path)
    assert f"this version reads schema {SCHEMA}" in caught.value.details[0]
    return caught.value


def test_a_field_more_or_less_is_refused(tree: dict[str, Any], tmp_path: Path) -> None:
    for at in places(tree):
        for name in [*within(tree, at), "more"]:
            other = copy.deepcopy(tree)
            if name == "more":
                within(other, at)[name] = 1
            else:
                del within(other, at)[name]
            error = refused(tmp_path / "conversion.json", other)
            assert name == "schema" or name in " ".join(error.details), (at, name)


def test_a_value_of_another_kind_is_refused(tree: dict[str, Any], tmp_path: Path) -> None:
    for at, value in [
        (("target",), 3),
        (("notes",), "text"),
        (("source", "files", 0, "bytes"), "12"),
        (("verdict", "proved"), "true"),
        (("tensors", 0, "shape"), ["1"]),
        (("verdict", "level"), "everything"),
        (("tensors", 0, "dtype"), "float3"),
        (("spec", "context"), "64"),
        (("spec", "layers"), {}),
        (("spec", "more"), 1),
    ]:
        other = copy.deepcopy(tree)
        within(other, at[:-1])[at[-1]] = value
        refused(tmp_path / "conversion.json", other)


@pytest.mark.parametrize("tree", [None, [], {}, {"schema": SCHEMA + 1}, {"schema": "1"}, {"schema": SCHEMA}, 3])
def test_what_is_no_report_is_refused(tree: object, tmp_path: Path) -> None:
    refused(tmp_path / "conversion.json", tree)


def test_another_schema_is_named(tmp_path: Path) -> None:
    assert f"schema {SCHEMA + 1}" in refused(tmp_path / "x.json", {"schema": SCHEMA + 1}).details[0]


def test_broken_files(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff", b"[" * 100_000):
        (tmp_path / "x.json").write_bytes(content)
        with pytest.raises(UsageError, match="is not a report"):
            read_report(tmp_path / "x.json")
    with pytest.raises(NotFoundError):
        read_report(tmp_path / "nowhere.json")
