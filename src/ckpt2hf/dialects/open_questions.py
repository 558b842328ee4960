"""Questions that a drafted dialect file leaves to a person: places where only a marker stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.dialects.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ckpt2hf.dialects.toml_lines import Path

QUESTION = "QUESTION"
"""What stands in a dialect file where only a person knows the answer; with it a file is not valid."""
_OF_A_RULE = ("to", "ops")
_WHAT = "this question is open: put one of the lines above it in its place"


def without_questions(problems: Sequence[Problem], tree: object) -> tuple[list[Problem], list[Problem]]:
    """The problems that are none of open questions, and one problem for each open question."""
    asked = list(_marked(tree, ()))
    rest = [each for each in problems if not any(_about(each.path, path) for path in asked)]
    # `to` and `ops` of one rule are answered together.
    whole = {path[:-1] if path[-1] in _OF_A_RULE else path: path for path in reversed(asked)}
    return rest, [Problem(path, _WHAT) for path in whole.values()]


def _marked(tree: object, path: Path) -> Iterator[Path]:
    """Where the marker stands."""
    if tree == QUESTION:
        yield path
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _marked(value, (*path, key))
    elif isinstance(tree, list):
        for k, value in enumerate(tree):
            yield from _marked(value, (*path, k))


def _about(path: Path, asked: Path) -> bool:
    """Whether a problem is at the place of a question, or inside what will stand there."""
    return path[: len(asked)] == asked
