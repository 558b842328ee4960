"""What is suspicious about the weights themselves, whatever they are converted to."""

from __future__ import annotations

import enum
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


class TensorStats(Protocol):
    """What one pass over a tensor's elements tells."""

    @property
    def low(self) -> float:
        """The smallest element."""
        ...

    @property
    def high(self) -> float:
        """The largest element."""
        ...

    @property
    def finite(self) -> bool:
        """Whether no element is NaN or infinite."""
        ...

    @property
    def crc32(self) -> int:
        """A checksum of the elements' bytes."""
        ...


class Severity(enum.Enum):
    """`error`: the model cannot work. `warning`: it can, but hardly as intended."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspicion: a stable code, what it means and what to do, and the slots concerned, layers folded."""

    code: str
    severity: Severity
    message: str
    names: tuple[str, ...]


def health(stats: Mapping[str, TensorStats], same: Callable[[str, str], bool]) -> tuple[Finding, ...]:
    """Every suspicion about slots of these statistics; `same` says whether two slots are equal, element by element."""
    return tuple(
        itertools.chain(_non_finite(stats), _untrained(stats), _all_zero(stats), _duplicated_layers(stats, same))
    )


def _non_finite(stats: Mapping[str, TensorStats]) -> Iterator[Finding]:
    names = [name for name, stat in stats.items() if not stat.finite]
    if names:
        yield Finding(
            "non-finite",
            Severity.ERROR,
            f"{_count(len(names), 'tensor')} with NaN or infinity: training diverged, or the file was damaged. "
            "Convert an earlier checkpoint.",
            folded(names),
        )


def _untrained(stats: Mapping[str, TensorStats]) -> Iterator[Finding]:
    norms = [name for name in stats if _is_norm(name) and name.endswith(".weight")]
    biases = [name for name in stats if name.endswith(".bias")]
    if norms and all(_constant(stats[n], 1.0) for n in norms) and all(_constant(stats[n], 0.0) for n in biases):
        yield Finding(
            "untrained",
            Severity.WARNING,
            "Every norm weight is exactly 1" + (" and every bias exactly 0" if biases else "") + ", as right after "
            "construction: these weights look untrained. Look at the script that saved them: often the line that "
            "loads the trained weights is commented out, so that a new model was saved.",
            folded([*norms, *biases]),
        )


def _all_zero(stats: Mapping[str, TensorStats]) -> Iterator[Finding]:
    names = [name for name in stats if _is_matrix(name) and _constant(stats[name], 0.0)]
    if names:
        yield Finding(
            "all-zero",
            Severity.WARNING,
            f"{_count(len(names), 'matrix', 'matrices')} with nothing but zeros: the part of the model they belong to "
            "does nothing.",
            folded(names),
        )


def _duplicated_layers(stats: Mapping[str, TensorStats], same: Callable[[str, str], bool]) -> Iterator[Finding]:
    """Layers whose matrices all equal an earlier layer's: a copy in a loop, or sharing the spec does not know of."""
    layers: dict[int, dict[str, str]] = {}
    for name in stats:
        if (match := _LAYER.match(name)) and _is_matrix(name) and not _constant(stats[name], 0.0):
            layers.setdefault(int(match[1]), {})[match[2]] = name
    firsts: dict[tuple[tuple[str, int], ...], int] = {}
    copies: dict[int, list[int]] = {}
    for i, parts in sorted(layers.items()):
        key = tuple(sorted((part, stats[name].crc32) for part, name in parts.items()))
        first = firsts.setdefault(key, i)
        if first != i and all(same(layers[first][part], name) for part, name in parts.items()):
            copies.setdefault(first, [first]).append(i)
    for group in copies.values():
        yield Finding(
            "duplicated-layers",
            Severity.WARNING,
            f"Layers {', '.join(map(str, group))} have exactly the same matrices. Training never makes two layers "
            "equal: look for a layer that was copied, or one module used several times.",
            folded([name for i in group for name in layers[i].values()]),
        )


_LAYER = re.compile(r"layers\.(\d+)\.(.+)")


def folded(names: Iterable[str]) -> tuple[str, ...]:
    """The names with layer numbers folded into runs, such as `layers.{0..11}.mlp.up.weight`, in order."""
    groups: dict[str, list[int]] = {}
    for name in names:
        match = _LAYER.match(name)
        groups.setdefault(match[2] if match else f"={name}", []).extend([int(match[1])] if match else [])
    return tuple(key[1:] if key[0] == "=" else f"layers.{_runs(sorted(at))}.{key}" for key, at in groups.items())


def _runs(numbers: list[int]) -> str:
    """Such as `3`, `{0..11}` or `{0,2..4}`."""
    pieces = []
    for _, run in itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        pieces.append(str(members[0]) if len(members) == 1 else f"{members[0]}..{members[-1]}")
    return pieces[0] if len(numbers) == 1 else "{" + ",".join(pieces) + "}"


def _is_norm(name: str) -> bool:
    return "norm" in name.split(".")[-2]


def _is_matrix(name: str) -> bool:
    return name.endswith(".weight") and not _is_norm(name)


def _constant(stat: TensorStats, value: float) -> bool:
    return stat.finite and stat.low == value == stat.high


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
