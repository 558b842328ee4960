"""The readings of a checkpoint by function, and the order in which a sample looks at them."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from ckpt2hf.verify.effort import multiply_adds
from ckpt2hf.verify.weigh import Search

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from ckpt2hf.run.readings import Reading, Space

FEW = 8
"""So many readings are all tried, however large the model is."""
MANY = 512
"""More are never all tried."""
AFFORDABLE = 1e12
"""Multiply-adds, half a minute on two cores, up to which all are tried on the first windows."""


class Readings:
    """Every function that was looked at, with the readings that amount to it: grows as it is searched."""

    def __init__(self, spaces: Sequence[Space], tokens: int) -> None:
        """`tokens` are what a reading is measured on at first, at least."""
        self._spaces = spaces
        self._keys: dict[object, int] = {}
        self._ways: list[list[Reading]] = []
        self.total = sum(space.size for space in spaces)
        first = next(reading for space in spaces for reading in space.everything())
        cost = self.total * tokens * multiply_adds(first.spec)
        self.exhaustive = self.total <= FEW or (self.total <= MANY and cost <= AFFORDABLE)

    def __getitem__(self, key: Hashable) -> Reading:
        """The reading of a function that contradicts least: what stands, then the dialect's own words."""
        assert isinstance(key, int)  # noqa: S101 - made below
        return min(self._ways[key], key=lambda each: (not each.respectful, each.strain))

    def search(self) -> Search:
        """All of them where that is affordable; else from each layout's first one to better ones beside it."""
        if self.exhaustive:
            every = dict.fromkeys(self._keyed(chain.from_iterable(space.everything() for space in self._spaces)))
            together: dict[object, list[int]] = {}
            for key in every:  # those with the same weights one after another: they are loaded once
                together.setdefault(self[key].weights, []).append(key)
            return Search(list(chain.from_iterable(together.values())), lambda _key: (), self.total)
        firsts = (next(space.everything(), None) for space in self._spaces)
        return Search(list(self._keyed(first for first in firsts if first)), self._beside, self.total)

    def _beside(self, key: Hashable) -> Iterator[int]:
        assert isinstance(key, int)  # noqa: S101 - made below
        return self._keyed([near for way in self._ways[key] for near in way.space.beside(way.answers)])

    def _keyed(self, readings: Iterable[Reading]) -> Iterator[int]:
        """The number of each reading's function."""
        for reading in readings:
            key = self._keys.setdefault(reading.function, len(self._ways))
            if key == len(self._ways):
                self._ways.append([])
            if all(way.space is not reading.space for way in self._ways[key]):
                self._ways[key].append(reading)
            yield key
