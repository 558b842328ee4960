"""The lines on which the keys of a TOML document are written: the parser of the standard library tells only values.

Works on documents that `tomllib` has accepted, so it knows the grammar's tokens and none of its rules. tomlkit, which
keeps the text of a document, does not know the lines of its keys either (python-poetry/tomlkit#55, version 0.15.2).
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from typing import TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""From the root of a document: keys, and positions in arrays."""

_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TEXT = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}'
    r"|'''.*?''''{0,2}"
    r'|"(?:\\.|[^"\\])*+"'
    r"|'[^']*'",
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]+")


@dataclass(slots=True)
class Lines:
    """Where the keys of one document are."""

    of: dict[Path, int]
    """Lines, counted from 1, by path: of keys, of the headings of tables, of the items of arrays."""

    def nearest(self, path: Path) -> int:
        """The line of a path; of what it lies in, where it is not there."""
        return next((self.of[path[:k]] for k in range(len(path), 0, -1) if path[:k] in self.of), 1)


def toml_lines(text: str) -> Lines:
    """The lines of a document that `tomllib` accepts."""
    scan = _Scan(text.replace("\r\n", "\n"))
    scan.document()
    return Lines(scan.found)


def written(path: Path) -> str:
    """A path as people write it: `layout[0].rule[7].to`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if _BARE.fullmatch(part) else f'"{part}"'
            text += f".{word}" if text else word
    return text


@dataclass(slots=True)
class _Scan:
    text: str
    at: int = 0
    line: int = 1
    found: dict[Path, int] = field(default_factory=dict)
    tables: dict[Path, int] = field(default_factory=dict)
    """How many tables each array of tables has so far."""

    def document(self) -> None:
        """Every statement: a heading, or a key with its value."""
        here: Path = ()
        self.blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                here = self.heading()
            else:
                self.pair(here)
            self.blank()

    def heading(self) -> Path:
        """The path of `[table]` or `[[table]]`; the latter is one table more of an array."""
        many = self.text.startswith("[[", self.at)
        self.skip(2 if many else 1)
        path: Path = ()
        for key, line in self.key():
            path = self.last(path)
            path = (*path, key)
            self.found.setdefault(path, line)
        self.skip(2 if many else 1)
        if not many:
            return self.last(path)
        number = self.tables.get(path, 0)
        self.tables[path] = number + 1
        self.found[*path, number] = self.line
        return (*path, number)

    def last(self, path: Path) -> Path:
        """In an array of tables, a heading speaks of the last of them."""
        return (*path, self.tables[path] - 1) if path in self.tables else path

    def pair(self, here: Path) -> None:
        """A key, `=`, and a value."""
        path = here
        for key, line in self.key():
            path = (*path, key)
            self.found.setdefault(path, line)
        self.skip(1)
        self.blank()
        self.value(path)

    def key(self) -> list[tuple[str, int]]:
        """The parts of a dotted key with their lines; what follows is next."""
        parts = []
        while True:
            self.blank()
            if quoted := _TEXT.match(self.text, self.at):
                name = str(tomllib.loads(f"k = {quoted[0]}")["k"])
            else:
                quoted = _BARE.match(self.text, self.at)
                assert quoted is not None  # noqa: S101 - the document is TOML
                name = quoted[0]
            parts.append((name, self.line))
            self.skip(len(quoted[0]))
            self.blank()
            if not self.text.startswith(".", self.at):
                return parts
            self.skip(1)

    def value(self, path: Path) -> None:
        """Whatever stands at this path."""
        first = self.text[self.at]
        if first in "[{":
            self.inside(path, "]" if first == "[" else "}")
            return
        token = _TEXT.match(self.text, self.at) or _PLAIN.match(self.text, self.at)
        assert token is not None  # noqa: S101 - the document is TOML
        self.skip(len(token[0]))

    def inside(self, path: Path, end: str) -> None:
        """The items of an array, or the pairs of an inline table."""
        self.skip(1)
        self.blank()
        number = 0
        while self.text[self.at] != end:
            if end == "}":
                self.pair(path)
            else:
                self.found[*path, number] = self.line
                self.value((*path, number))
            number += 1
            self.blank()
            if self.text[self.at] == ",":
                self.skip(1)
                self.blank()
        self.skip(1)

    def blank(self) -> None:
        """Past spaces, ends of lines and comments."""
        skipped = _BLANK.match(self.text, self.at)
        self.skip(len(skipped[0]) if skipped else 0)

    def skip(self, length: int) -> None:
        """Past so many characters."""
        self.line += self.text.count("\n", self.at, self.at + length)
        self.at += length
