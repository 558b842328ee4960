"""Every key of a TOML document is found on the line where it is written, however it is written."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckpt2hf.dialects import dialect, dialect_text, dialects
from ckpt2hf.dialects.toml_lines import toml_lines, written

KEYS = st.one_of(
    st.text("abz_-09", min_size=1, max_size=4),
    st.sampled_from(["a.b", "", "é", 'q"q', "h.{i}.w", "#", "[x]", "a = 1", "\\", "'"]),
)
SCALARS = st.sampled_from(
    [
        ("1", 1),
        ("-0.5e3", -500.0),
        ("true", True),
        ('"x # \\" [ {"', 'x # " [ {'),
        ("'a\\'", "a\\"),
        ('"""\n\\"" "" #\n] = """""', '"" "" #\n] = ""'),
        ("'''\nk = 1\n[t]\n''''", "k = 1\n[t]\n'"),
        ('"""a\\\\"""', "a\\"),
        ('""', ""),
        ("''''''", ""),
        ('"""\n\n\\\n   x"""', "\nx"),
    ]
)
BETWEEN = st.sampled_from(["", " ", "\n", " # ] }\n", '\n\n # "\n'])


@dataclass
class Document:
    """A document that is being written, and what it is expected to say."""

    data: st.DataObject
    text: str = ""
    lines: dict[tuple[Any, ...], int] = field(default_factory=dict)

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def pick(self, *ways: str) -> str:
        return self.data.draw(st.sampled_from(ways))

    def key(self, key: str) -> None:
        bare = key and key.isascii() and key.replace("_", "").replace("-", "").isalnum()
        ways = [json.dumps(key, ensure_ascii=False)]
        ways += [key] if bare else []
        ways += [f"'{key}'"] if "'" not in key else []
        self.text += self.pick(*ways)

    def value(self, path: tuple[Any, ...], depth: int) -> Any:
        kind = self.pick("scalar", "array", "table") if depth else "scalar"
        if kind == "scalar":
            text, value = self.data.draw(SCALARS)
            self.text += text
            return value
        return self.array(path, depth) if kind == "array" else self.inline(path, depth)

    def array(self, path: tuple[Any, ...], depth: int) -> list[Any]:
        made = []
        self.text += "[" + self.data.draw(BETWEEN)
        count = self.data.draw(st.integers(0, 3))
        for k in range(count):
            self.lines[*path, k] = self.line
            made.append(self.value((*path, k), depth - 1))
            self.text += self.data.draw(BETWEEN)
            self.text += "," if k + 1 < count else self.pick("", ",")
            self.text += self.data.draw(BETWEEN)
        self.text += "]"
        return made

    def inline(self, path: tuple[Any, ...], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        self.text += "{" + self.pick("", " ")
        for k, key in enumerate(self.data.draw(st.lists(KEYS, max_size=3, unique=True))):
            self.text += ", " if k else ""
            self.pair(made, path, key, depth)
        self.text += self.pick("", " ") + "}"
        return made

    def pair(self, table: dict[str, Any], path: tuple[Any, ...], key: str, depth: int) -> None:
        parts = [key, *self.data.draw(st.lists(KEYS, max_size=2))]
        for k, part in enumerate(parts):
            self.text += self.pick(".", " . ") if k else ""
            path = (*path, part)
            self.lines[path] = self.line
            self.key(part)
        self.text += self.pick("=", " = ", "\t=")
        for part in parts[:-1]:
            table = table.setdefault(part, {})
        table[parts[-1]] = self.value(path, depth)

    def heading(self, path: tuple[Any, ...], mark: str) -> None:
        self.text += mark
        for k, part in enumerate(part for part in path if isinstance(part, str)):
            self.text += self.pick(".", " . ") if k else ""
            self.key(part)
        self.text += mark.replace("[", "]") + self.pick("\n", " # x\n")

    def table(self, table: dict[str, Any], path: tuple[Any, ...], depth: int) -> None:
        """Pairs, then tables and arrays of tables below."""
        keys = self.data.draw(st.lists(KEYS, max_size=4, unique=True))
        pairs = self.data.draw(st.integers(0, len(keys)))
        for key in keys[:pairs]:
            self.pair(table, path, key, 2)
            self.text += self.pick("\n", " # [no]\n", "\n\n")
        for key in keys[pairs:] if depth else ():
            below = (*path, key)
            self.lines[below] = self.line
            if self.data.draw(st.booleans()):
                self.heading(below, "[")
                table[key] = {}
                self.table(table[key], below, depth - 1)
                continue
            table[key] = []
            for k in range(self.data.draw(st.integers(1, 3))):
                self.lines[*below, k] = self.line
                self.heading(below, "[[")
                table[key].append({})
                self.table(table[key][k], (*below, k), depth - 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no counterexample
@given(st.data())
def test_every_key_is_found_where_it_was_written(data: st.DataObject) -> None:
    document = Document(data)
    tree: dict[str, Any] = {}
    document.table(tree, (), 2)
    text = document.text.replace("\n", "\r\n") if data.draw(st.booleans()) else document.text
    assert tomllib.loads(text) == tree  # what was meant is what was written
    assert toml_lines(text).of == document.lines


def paths(tree: Any, path: tuple[Any, ...] = ()) -> set[tuple[Any, ...]]:
    items = list(tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ())
    return {(*path, key) for key, _ in items} | {below for key, each in items for below in paths(each, (*path, key))}


@pytest.mark.parametrize("name", [known.id for known in dialects()])
def test_every_path_of_a_built_in_file_has_a_line_that_shows_its_key(name: str) -> None:
    text = dialect_text(dialect(name))
    found, tree = toml_lines(text), tomllib.loads(text)
    assert found.of.keys() == paths(tree)
    for path, line in found.of.items():
        shown = text.splitlines()[line - 1]
        key = next(part for part in reversed(path) if isinstance(part, str))
        assert key in shown or isinstance(path[-1], int)


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("a.b = 1\n\n[c]\nd = [\n 1,\n\n 2]", ("c", "d", 1), 7),
        ("[a.b.c]\nx = 1\n[a]\ny = 1", ("a", "y"), 4),
        ("[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[a.b]\nc = 1\n", ("a", 1, "b", "c"), 6),
        ("[[a]]\n[[a.b]]\n[[a.b]]\n[a.b.c]\nd = 1", ("a", 0, "b", 1, "c", "d"), 5),
        ("# x\n'a\"b' = { c = { 'd.e' = 3 } }\n", ('a"b', "c", "d.e"), 2),
        ('a = """\n"""\nb = 1979-05-27 07:32:00 # when\nc = 1', ("c",), 4),
    ],
)
def test_the_lines_of_some_documents(text: str, path: tuple[Any, ...], line: int) -> None:
    assert tomllib.loads(text)
    assert toml_lines(text).of[path] == line


def test_what_is_not_there_is_looked_for_where_it_would_be() -> None:
    lines = toml_lines("x = 1\n[[a]]\nb = 1\n[[a]]\n[a.c]\n")
    assert lines.nearest(("a", 1, "c", "missing", 3)) == 5
    assert lines.nearest(("nowhere",)) == 1
    assert lines.nearest(()) == 1


def test_a_path_is_written_as_people_write_it() -> None:
    assert written(("layout", 0, "rule", 7, "to")) == "layout[0].rule[7].to"
    assert written(("signature", "ratio", "h.{i}.w")) == 'signature.ratio."h.{i}.w"'
