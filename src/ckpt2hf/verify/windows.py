"""Held-out text cut into windows: all but the first token of a stretch is predicted, once. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.tensors import Array


@dataclass(frozen=True, slots=True)
class Windows:
    """Where the windows lie in stretches of text, none over an edge between two stretches.

    A window shows the model up to `context` tokens, and each of them predicts the next one. The first begins where the
    stretch begins, each later one `stride` tokens further on. Only what no earlier window has predicted counts. So with
    a stride of the whole context no token is shown twice, and a token is predicted from 1 to `context` others; a
    shorter stride costs more and gives each later token `context - stride + 1` at least.
    """

    stretches: Array
    """Token ids `[stretches, tokens]`, which may be a mapped file."""
    context: int
    stride: int

    @property
    def predicted(self) -> int:
        """The tokens that count."""
        count, size = self.stretches.shape
        return int(count * max(size - 1, 0))

    @property
    def _whole(self) -> int:
        """Windows of full length in each stretch."""
        room = self.stretches.shape[1] - 1 - self.context
        return room // self.stride + 1 if room >= 0 else 0

    @property
    def _seen(self) -> int:
        """Tokens of a stretch that its windows of full length have predicted."""
        return (self._whole - 1) * self.stride + self.context if self._whole else 0

    def __len__(self) -> int:
        count, size = self.stretches.shape
        return int(count * (self._whole + (self._seen < size - 1)))

    def batches(self, at_once: int) -> Iterator[tuple[Array, Array]]:
        """Windows `[batch, length + 1]`, and of each how many of its last tokens count `[batch]`.

        First those of full length, then what is left at the end of each stretch; in the order of the text.
        """
        count, size = self.stretches.shape
        for first in range(0, count * self._whole, at_once):
            rows, turns = np.divmod(np.arange(first, min(first + at_once, count * self._whole)), self._whole)
            starts = turns * self.stride
            cut = [self.stretches[r, s : s + self.context + 1] for r, s in zip(rows, starts, strict=True)]
            yield np.stack(cut).astype(np.int64), np.where(turns == 0, self.context, self.stride)
        if self._seen < size - 1:
            begin = self._whole * self.stride
            for first in range(0, count, at_once):
                ids = np.asarray(self.stretches[first : first + at_once, begin:], np.int64)
                yield ids, np.full(len(ids), size - 1 - self._seen)
