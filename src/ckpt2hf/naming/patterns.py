"""Name patterns: literal text with variables such as `{i}` (layer) and `{h}` (head), also counted as `{2i+1}`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLES = {"i": "layer", "h": "head", "g": "key and value head", "e": "expert", "L": "number of layers"}
"""Every variable a pattern may hold, and what it counts. `{L}` has one value, for what follows the last layer."""

_FIELD = re.compile(r"\{([^{}]*)\}")
_COUNTED = re.compile(r"([1-9]?)([A-Za-z])(?:\+([1-9]))?")
"""A variable, perhaps times a digit and plus a digit: code that numbers two sublayers a block counts so."""
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
        found = [_COUNTED.fullmatch(field) for field in _FIELD.findall(self.text)]
        names = [match[2] if match else "" for match in found]
        if any(name not in VARIABLES for name in names) or len(set(names)) != len(names) or not self.text:
            known = ", ".join(f"{{{v}}} ({what})" for v, what in VARIABLES.items())
            raise ValueError(f"pattern {self.text!r}: each variable once, out of {known}")

    @cached_property
    def _fields(self) -> tuple[tuple[str, int, int], ...]:
        """Each variable with what it is multiplied with and what is added."""
        found = (_COUNTED.fullmatch(field) for field in _FIELD.findall(self.text))
        return tuple((match[2], int(match[1] or 1), int(match[3] or 0)) for match in found if match)

    @cached_property
    def stem(self) -> str | None:
        """The stem of every name it matches; None where a variable is part of a word, so that they have several."""
        first, other = (stem(self.format(dict.fromkeys(self.variables, value))) for value in (0, 7))
        return first if first == other else None

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The variables in order of appearance."""
        return tuple(name for name, _, _ in self._fields)

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        literals = _FIELD.split(self.text)[::2]
        groups = [f"(?P<{name}>{_INDEX})" for name in self.variables]
        parts = (re.escape(text) + group for text, group in zip(literals, [*groups, ""], strict=True))
        return re.compile("".join(parts))

    def format(self, values: Mapping[str, int]) -> str:
        """The name for these values; every variable of the pattern must be given."""
        numbers = iter([times * values[name] + plus for name, times, plus in self._fields])
        return _FIELD.sub(lambda _found: str(next(numbers)), self.text)

    def match(self, name: str) -> dict[str, int] | None:
        """The values that give this very name, or None."""
        found = self._regex.fullmatch(name)
        if not found:
            return None
        values = {}
        for variable, times, plus in self._fields:
            value, rest = divmod(int(found[variable]) - plus, times)
            if rest or value < 0:
                return None
            values[variable] = value
        return values

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
