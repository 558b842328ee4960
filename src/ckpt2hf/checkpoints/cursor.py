"""A place in the bytes of a pickle, and how much work reading it may cost."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ckpt2hf.files import Span

MAX_LINE = 1 << 24
"""Bytes of the longest line a text opcode may have."""


class Budget:
    """What unpickling may cost, whatever the bytes say; shared by the pickles nested in one file.

    The limits are far above what training scripts write and far below what hurts a machine.
    """

    def __init__(self, steps: int = 10_000_000, containers: int = 2_000_000, nesting: int = 4) -> None:
        self.steps = steps
        self.containers = containers
        self.nesting = nesting

    def spend(self, steps: int = 1) -> None:
        """Pay for opcodes executed or elements copied. Raises ValueError when nothing is left."""
        self.steps -= steps
        if self.steps < 0:
            raise ValueError("the pickle asks for more work than any checkpoint needs")

    def allocate(self) -> None:
        """Pay for one container or object. Raises ValueError when nothing is left."""
        self.containers -= 1
        if self.containers < 0:
            raise ValueError("the pickle makes more objects than any checkpoint needs")


class Cursor:
    """A run of bytes and a position in it. Every read is checked against the bytes left; raises ValueError.

    It looks at the bytes through a window that moves on with it, so that of a file only what is read has to be there.
    """

    def __init__(self, source: Span | memoryview, position: int = 0) -> None:
        self.source = source
        self.position = position
        self.end = len(source) if isinstance(source, memoryview) else source.nbytes
        self._window = memoryview(b"")
        self._start = self._stop = position

    def byte(self) -> int:
        """The next byte."""
        at = self.position
        if at >= self._stop:
            if at >= self.end:
                raise ValueError("the pickle ends in the middle: the file is truncated")
            self._look(1)
        self.position = at + 1
        return self._window[at - self._start]

    def take(self, count: int) -> memoryview:
        """The next `count` bytes, not copied."""
        self._require(count)
        if self.position + count > self._stop:
            self._look(count)
        at = self.position - self._start
        self.position += count
        return self._window[at : at + count]

    def skip(self, count: int) -> None:
        """Go past the next `count` bytes."""
        self._require(count)
        self.position += count

    def _require(self, count: int) -> None:
        left = self.end - self.position
        if count < 0 or count > left:
            raise ValueError(f"{count} bytes are declared, {left} are left: the file is truncated or corrupt")

    def _look(self, count: int) -> None:
        """Move the window to the position; at least `count` bytes are in it, if so many are left."""
        source, at = self.source, self.position
        self._window = source[at:] if isinstance(source, memoryview) else source.ahead(at, count)
        self._start, self._stop = at, at + len(self._window)

    def number(self, layout: str) -> int:
        """The next integer, laid out as `struct` says."""
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return value

    def line(self) -> bytes:
        """The bytes up to the next newline, which is skipped."""
        at, length = self.position, 64
        while True:
            if at + length > self._stop:
                self._look(length)
            chunk = bytes(self._window[at - self._start : at - self._start + length])
            found = chunk.find(b"\n")
            if found >= 0:
                self.position = at + found + 1
                return chunk[:found]
            if at + length >= self.end or length >= MAX_LINE:
                raise ValueError("a text opcode has no end: the file is truncated or corrupt")
            length *= 4

    def text(self) -> str:
        """The next line as the name of something: UTF-8."""
        return self.line().decode("utf-8")
