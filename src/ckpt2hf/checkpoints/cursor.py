"""A place in the bytes of a pickle, and how much work reading it may cost."""

from __future__ import annotations

import struct

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
    """A view of bytes and a position in it. Every read is checked against the bytes left; raises ValueError."""

    def __init__(self, view: memoryview, position: int = 0) -> None:
        self.view = view
        self.position = position
        self.end = len(view)

    def byte(self) -> int:
        """The next byte."""
        at = self.position
        if at >= self.end:
            raise ValueError("the pickle ends in the middle: the file is truncated")
        self.position = at + 1
        return self.view[at]

    def take(self, count: int) -> memoryview:
        """The next `count` bytes, not copied."""
        at = self.position
        if count < 0 or count > self.end - at:
            raise ValueError(f"{count} bytes are declared, {self.end - at} are left: the file is truncated or corrupt")
        self.position = at + count
        return self.view[at : at + count]

    def number(self, layout: str) -> int:
        """The next integer, laid out as `struct` says."""
        value: int = struct.unpack(layout, self.take(struct.calcsize(layout)))[0]
        return value

    def line(self) -> bytes:
        """The bytes up to the next newline, which is skipped."""
        at, length = self.position, 64
        while True:
            chunk = bytes(self.view[at : min(at + length, self.end)])
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
