"""Name patterns: literal text with the variables `{i}` (layer) and `{h}` (head)."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLES = {"i": "layer", "h": "head"}
"""Every variable a pattern may hold, and what it counts."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_INDEX = "0|[1-9][0-9]{0,8}"
"""A layer or head number as code writes it; longer ones are somebody's joke."""
_NUMBER = re.compile(rf"(?<![0-9A-Za-z_])({_INDEX})(?![0-9A-Za-z_])")


@dataclass(frozen=True)
class Pattern:
    """A tensor name with variables, such as `blocks.{i}.sa.heads.{h}.key.weight`.

    Laws: `match(format(values)) == values`, and `format(match(name)) == name` wherever `match` finds something.
    """

    text: str

    def __post_init__(self) -> None:
        """Refuse unknown and repeated variables. Raises ValueError."""
        names = _FIELD.findall(self.text)
        bad = [name for name in names if name not in VARIABLES]
        if bad or len(set(names)) != len(names) or not self.text:
            known = ", ".join(f"{{{v}}} ({what})" for v, what in VARIABLES.items())
            raise ValueError(f"pattern {self.text!r}: each variable once, out of {known}")

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The variables in order of appearance."""
        return tuple(_FIELD.findall(self.text))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        literals = _FIELD.split(self.text)
        parts = [re.escape(part) if k % 2 == 0 else f"(?P<{part}>{_INDEX})" for k, part in enumerate(literals)]
        return re.compile("".join(parts))

    def format(self, values: Mapping[str, int]) -> str:
        """The name for these values; every variable of the pattern must be given."""
        return _FIELD.sub(lambda found: str(values[found[1]]), self.text)

    def match(self, name: str) -> dict[str, int] | None:
        """The values that give this very name, or None."""
        found = self._regex.fullmatch(name)
        return {variable: int(text) for variable, text in found.groupdict().items()} if found else None

    def __str__(self) -> str:
        """The pattern as written."""
        return self.text


@lru_cache(maxsize=4096)
def pattern(text: str) -> Pattern:
    """The pattern for a text; patterns are values, so equal texts share one."""
    return Pattern(text)


def collapse(names: Iterable[str]) -> list[str]:
    """Names folded together where they differ in one number: `h.{0..11}.ln.weight`; the order of first appearance."""
    groups: dict[tuple[str, ...], list[list[int]]] = {}
    for name in names:
        parts = _NUMBER.split(name)
        groups.setdefault(tuple(parts[::2]), []).append([int(number) for number in parts[1::2]])
    folded = []
    for texts, found in groups.items():
        columns = [sorted(set(column)) for column in zip(*found, strict=True)]
        if len(found) == _product(len(column) for column in columns):
            folded.append(_woven(texts, [_span(column) for column in columns]))
        else:
            folded += [_woven(texts, [str(number) for number in numbers]) for numbers in found]
    return folded


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where nothing is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def stem(name: str) -> str:
    """The name with every number that counts something blanked: equal for the same tensor of different layers."""
    return _NUMBER.sub("*", name)


def _woven(texts: tuple[str, ...], numbers: list[str]) -> str:
    return "".join(text + number for text, number in zip(texts, [*numbers, ""], strict=True))


def _product(numbers: Iterable[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def _span(numbers: list[int]) -> str:
    if len(numbers) == 1:
        return str(numbers[0])
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{{{numbers[0]}..{numbers[-1]}}}"
    return "{" + ",".join(map(str, numbers)) + "}"
