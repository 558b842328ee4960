"""Something that is wrong with a dialect file, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.dialects.toml_lines import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong at one place of the file."""

    path: Path
    what: str

    def below(self, *parts: str | int) -> Problem:
        """The same, seen from further up."""
        return Problem((*parts, *self.path), self.what)


class ProblemsError(ValueError):
    """Several problems, each with its path from the table that a validator was given."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        """Keep them apart, so that each can be told with its line."""
        self.problems = tuple(problems)
        super().__init__("; ".join(problem.what for problem in self.problems))
