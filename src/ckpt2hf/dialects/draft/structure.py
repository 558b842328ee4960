"""The shape of a model read off its names: the block that repeats, its layers, and heads or experts inside it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.dialects.draft.parts import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Shapes = Mapping[str, tuple[int, ...]]

_NUMBER = re.compile(r"(?<![0-9])(?:0|[1-9][0-9]{0,4})(?![0-9])")
_PERIODS = (1, 2, 3, 4)
"""How many numbers a block may take: code that counts sublayers needs two for each."""
_ALONE = 0.6
"""What a block that nothing repeats counts for, beside heads that are repeated inside it."""
_MATRICES = 4
"""Tensors that a block has at least."""
_SHARE = 0.4
"""The part of all tensors that lies in the blocks of any model."""
_FIRST = range(10)
"""The number a count may begin with; patterns can add one digit."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """A place in names where a number runs without a gap, and all it leads to is the same for each."""

    prefix: str
    first: int
    period: int
    count: int
    """How many blocks there are."""
    tensors: int
    last: bool = False
    """Whether one number more stands for what follows the blocks."""

    @property
    def weight(self) -> float:
        """How likely it counts layers: by its tensors, and less so where there is a single one."""
        return self.tensors if self.count > 1 else _ALONE * self.tensors

    def field(self, number: int, variable: str) -> str:
        """The number as a variable of a pattern: `{i}`, `{2i+1}`."""
        rest = (number - self.first) % self.period + self.first
        times = "" if self.period == 1 else str(self.period)
        return f"{{{times}{variable}{f'+{rest}' if rest else ''}}}"


def width(shapes: Shapes) -> int | None:
    """The width of the model: the length that most tensors have an axis of."""
    counted = Counter(n for shape in shapes.values() for n in set(shape) if n > 1)
    best = max(counted.values(), default=0)
    return max((n for n, times in counted.items() if times == best), default=None)


def kinds(shapes: Shapes) -> tuple[tuple[Kind, ...], int]:
    """Every tensor in exactly one kind, in the order of the file, and the number of layers (0 if nothing repeats)."""
    blocks = _layers(shapes)
    inside = {name: cut for name in shapes if (cut := _cut(name, blocks, "i"))}
    wide = width({name: shapes[name] for name in inside} or shapes)
    inner = _inner([(suffix, shapes[name]) for name, (_, suffix) in inside.items()], wide or 0)
    grouped: dict[tuple[str, tuple[int, ...]], list[str]] = defaultdict(list)
    made: dict[str, tuple[str, str, int]] = {}
    for name, shape in shapes.items():
        start, suffix = inside.get(name, ("", _after(name, blocks)))
        text, variables, copies = suffix, "i" if start else "", 1
        for variable, repeats in inner.items() if start else ():
            if (cut := _cut(suffix, repeats, variable)) is not None:
                text, variables = "".join(cut), f"i{variable}"
                copies = next(r.count for r in repeats if suffix.startswith(r.prefix))
        made[start + text] = (text, variables, copies)
        grouped[start + text, shape].append(name)
    found = []
    for (text, shape), names in grouped.items():
        suffix, variables, copies = made[text]
        whole = not variables or len(names) == blocks[0].count * copies
        found.append(Kind(text, shape, tuple(names), suffix, variables, copies, whole))
    return tuple(found), blocks[0].count if blocks else 0


def _layers(shapes: Shapes) -> list[Repeat]:
    """Where the layers are counted: the place with most tensors, and others that run as far."""
    found = sorted(_repeats(shapes.items()), key=lambda r: (-r.weight, len(r.prefix)))
    if not found or found[0].tensors < _SHARE * len(shapes):
        return []
    main = found[0]
    taken = [main]
    for other in found[1:]:
        apart = all(not other.prefix.startswith(r.prefix) and not r.prefix.startswith(other.prefix) for r in taken)
        if apart and other.count == main.count > 1:
            taken.append(other)
    return taken


def _inner(suffixes: Iterable[tuple[str, tuple[int, ...]]], wide: int) -> dict[str, list[Repeat]]:
    """Modules that are repeated inside a block: one for each head, or one for each expert."""
    shapes = dict(suffixes)
    found: dict[str, list[Repeat]] = {}
    for repeat in sorted(_repeats(shapes.items()), key=lambda r: -r.tensors):
        if repeat.count < 2 or repeat.period > 1 or repeat.first:  # noqa: PLR2004 - a number that counts
            continue
        inside = [shape for name, shape in shapes.items() if name.startswith(repeat.prefix)]
        matrices = {shape for shape in inside if len(shape) == 2}  # noqa: PLR2004 - a matrix
        if any(wide in m and repeat.count * min(m) == wide for m in matrices):
            found.setdefault("h", []).append(repeat)
        elif any(m[::-1] in matrices and m[0] != m[1] for m in matrices):
            found.setdefault("e", []).append(repeat)
    return found


def _repeats(shapes: Iterable[tuple[str, tuple[int, ...]]]) -> list[Repeat]:
    """Every place in the names where a number runs."""
    table: dict[str, dict[int, dict[str, tuple[int, ...]]]] = defaultdict(lambda: defaultdict(dict))
    for name, shape in shapes:
        for number in _NUMBER.finditer(name):
            table[name[: number.start()]][int(number[0])][name[number.end() :]] = shape
    found = []
    for prefix, by_number in table.items():
        numbers = sorted(by_number)
        blocks = [by_number[number] for number in numbers]
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or numbers[0] not in _FIRST:
            continue
        last = len(blocks) > 2 and not numbers[0] and _follows(blocks)  # noqa: PLR2004 - two layers and what follows
        blocks = blocks[:-1] if last else blocks
        period = next((p for p in _PERIODS if _is_periodic(blocks, p)), None)
        period = 1 if period is None and _are_alike(blocks) else period
        if period is not None and numbers[0] + period <= _FIRST.stop:
            tensors = sum(map(len, blocks))
            found.append(Repeat(prefix, numbers[0], period, len(blocks) // period, tensors, last=last))
    return found


def _follows(blocks: Sequence[Mapping[str, tuple[int, ...]]]) -> bool:
    """Whether the last of a list is no block but what follows the blocks, such as a norm."""
    *rest, last = blocks
    return _is_periodic(rest, 1) and last != rest[0] and len(last) < len(rest[0])


def _is_periodic(blocks: Sequence[Mapping[str, tuple[int, ...]]], period: int) -> bool:
    if len(blocks) % period or len(blocks) == period > 1:  # different things in a list, which nothing repeats
        return False
    return all(block == blocks[k % period] for k, block in enumerate(blocks))


def _are_alike(blocks: Sequence[Mapping[str, tuple[int, ...]]]) -> bool:
    """Whether blocks have most in common, though some of them have tensors of their own."""
    common = set(blocks[0].items()).intersection(*(block.items() for block in blocks))
    return len(common) >= _MATRICES and 2 * len(common) >= max(map(len, blocks))


def _after(name: str, blocks: Sequence[Repeat]) -> str:
    """The name of what follows the blocks in their own list, with `{L}` for their number; other names as they are."""
    for repeat in blocks:
        number = f"{repeat.prefix}{repeat.count}"
        if repeat.last and name.startswith(number) and not name[len(number) :][:1].isdecimal():
            return f"{repeat.prefix}{{L}}{name[len(number) :]}"
    return name


def _cut(name: str, repeats: Sequence[Repeat], variable: str) -> tuple[str, str] | None:
    """The name up to the number that is counted, with a variable in its place, and the rest; None if there is none."""
    for repeat in repeats:
        number = _NUMBER.match(name, len(repeat.prefix)) if name.startswith(repeat.prefix) else None
        if number and int(number[0]) < repeat.first + repeat.period * repeat.count:
            return repeat.prefix + repeat.field(int(number[0]), variable), name[number.end() :]
    return None
