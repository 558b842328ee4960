"""Paths with wildcards: `*`, `?` and `[abc]` inside one part of a path, `**` for any number of parts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from ckpt2hf.remote import is_remote, joined

if TYPE_CHECKING:
    from pathlib import Path

Parts: TypeAlias = tuple[str, ...]
"""A whole path, taken apart."""

ANY = "**"


def parts_of(path: Path | str) -> Parts:
    """A path from its root on, without `.` and `..`; links are not followed, nothing is opened."""
    if not isinstance(path, str) and is_remote(path):
        return tuple(part for part in path.without_query.split("/") if part)
    return tuple(part for part in os.path.abspath(path).split("/") if part)  # noqa: PTH100 - Path.absolute keeps `..`


def is_pattern(text: str) -> bool:
    """Whether there are wildcards in a path; in a web address `?` is none."""
    return not text.startswith(("http://", "https://")) and any(sign in text for sign in "*?[")


@dataclass(frozen=True, slots=True)
class Pattern:
    """The files a path with wildcards stands for. A directory stands for all that is below it."""

    text: str
    """As the user wrote it."""
    exact: Parts
    """The path of exactly this spelling: a name may hold what looks like a wildcard."""
    base: Parts
    """The directories before the first wildcard."""
    parts: Parts
    """The rest."""

    @classmethod
    def of(cls, text: str, folder: Path) -> Pattern:
        """The pattern a user wrote who was in a folder."""
        fixed, rest = split(text)
        return cls(text, parts_of(joined(folder, text)), parts_of(joined(folder, fixed)), rest)

    @classmethod
    def anywhere(cls, text: str, folder: Path, root: Path) -> Pattern:
        """The same; but without a slash it is a name, wherever below the root."""
        name = text.rstrip("/")
        return cls.of(text, folder) if "/" in name else cls(text, ("/",), parts_of(root), (ANY, name))

    def matches(self, path: Parts) -> bool:
        """Whether a file, or a directory that holds it, is meant."""
        if path[: len(self.exact)] == self.exact:
            return True
        return path[: len(self.base)] == self.base and _fits(self.parts, path[len(self.base) :])

    def leads_to(self, folder: Parts) -> bool:
        """Whether anything inside a directory can be meant."""
        below = folder[len(self.base) :]
        if folder[: len(self.base)] != self.base[: len(folder)]:
            return False
        for pattern, part in zip(self.parts, below, strict=False):
            if pattern == ANY:
                return True
            if not fnmatchcase(part, pattern):
                return False
        return True


def split(text: str) -> tuple[str, Parts]:
    """The path before the first part with a wildcard, and the parts from there on."""
    parts = text.split("/")
    first = next((k for k, part in enumerate(parts) if is_pattern(part)), len(parts))
    fixed = "/".join(parts[:first]) or ("/" if first and text.startswith("/") else "")
    return fixed, tuple(part for part in parts[first:] if part not in ("", "."))


def _fits(pattern: Parts, path: Parts) -> bool:
    """Whether the pattern fits the path or its beginning: one state for each part of the pattern that may be next."""
    states = {0}
    for part in path:
        states = _closed(pattern, states)
        if len(pattern) in states:
            return True
        states = {
            k if pattern[k] == ANY else k + 1 for k in states if pattern[k] == ANY or fnmatchcase(part, pattern[k])
        }
    return len(pattern) in _closed(pattern, states)


def _closed(pattern: Parts, states: set[int]) -> set[int]:
    """The states, and those after a `**` that stands for nothing."""
    found = set(states)
    for k in sorted(states):
        while k < len(pattern) and pattern[k] == ANY:
            k += 1  # noqa: PLW2901
            found.add(k)
    return found
