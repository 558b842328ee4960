"""Which parts of a file are there: runs of bytes that do not touch, in order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Extents:
    """Bytes from `starts[k]` to before `stops[k]`, for every k."""

    starts: tuple[int, ...] = ()
    stops: tuple[int, ...] = ()

    def has(self, start: int, stop: int) -> bool:
        """Whether every byte from `start` to before `stop` is there."""
        at = bisect_right(self.starts, start) - 1
        return start >= stop or (at >= 0 and self.stops[at] >= stop)

    def missing(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The runs between `start` and `stop` that are not there."""
        for k in range(bisect_right(self.stops, start), len(self.starts)):
            if self.starts[k] >= stop:
                break
            if start < self.starts[k]:
                yield start, self.starts[k]
            start = max(start, self.stops[k])
        if start < stop:
            yield start, stop

    def with_(self, start: int, stop: int) -> Extents:
        """The same and the bytes from `start` to before `stop`, joined with what they touch."""
        if start >= stop:
            return self
        first, after = bisect_left(self.stops, start), bisect_right(self.starts, stop)
        if first < after:
            start, stop = min(start, self.starts[first]), max(stop, self.stops[after - 1])
        return Extents(
            (*self.starts[:first], start, *self.starts[after:]), (*self.stops[:first], stop, *self.stops[after:])
        )


def joined(ranges: Iterable[tuple[int, int]], gap: int) -> list[tuple[int, int]]:
    """Ranges `(start, stop)` in order, those less than `gap` apart as one."""
    made: list[tuple[int, int]] = []
    for start, stop in sorted(ranges):
        if start >= stop:
            continue
        if made and start - made[-1][1] <= gap:
            made[-1] = made[-1][0], max(stop, made[-1][1])
        else:
            made.append((start, stop))
    return made


def cut(ranges: Iterable[tuple[int, int]], most: int) -> Iterator[tuple[int, int]]:
    """The same ranges in pieces of at most `most` bytes."""
    for start, stop in ranges:
        for at in range(start, stop, most):
            yield at, min(at + most, stop)
