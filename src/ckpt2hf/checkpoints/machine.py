"""A pickle virtual machine that describes instead of executing: nothing is imported, nothing is called.

Source: python/cpython Lib/pickletools.py for the meaning of the opcodes of protocols 0 to 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ckpt2hf.checkpoints.constants import CONSTANTS
from ckpt2hf.checkpoints.opcodes import STEPS
from ckpt2hf.checkpoints.values import Global

if TYPE_CHECKING:
    from ckpt2hf.checkpoints.cursor import Budget, Cursor

MAX_STACK = 4_000_000
MAX_MEMO = 2_000_000
STOP = ord(".")


class Host(Protocol):
    """Decides what a named class or a persistent id becomes."""

    def make(self, callee: object, args: object, keywords: object = None) -> object:
        """What calling `callee` would describe."""
        ...

    def persistent(self, identity: object) -> object:
        """What a persistent id stands for."""
        ...

    def restore(self, target: object, state: object) -> None:
        """Give a made object the state it was pickled with."""
        ...


class Machine:
    """Reads one pickle at a cursor. Any error of the bytes is a ValueError, LookupError, TypeError or the like."""

    def __init__(self, cursor: Cursor, host: Host, budget: Budget) -> None:
        self.cursor: Cursor = cursor
        self.host: Host = host
        self.budget: Budget = budget
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def load(self) -> object:
        """The inert value; the cursor is left behind the pickle."""
        cursor, budget, stack = self.cursor, self.budget, self.stack
        while True:
            budget.spend()
            code = cursor.byte()
            constant = CONSTANTS.get(code)
            if constant is not None:
                stack.append(constant(cursor))
            elif code == STOP:
                return self.pop()
            else:
                step = STEPS.get(code)
                if step is None:
                    raise ValueError(f"unknown opcode 0x{code:02x}")
                step(self)
            if len(stack) > MAX_STACK:
                raise ValueError("the stack grows without bound")

    @property
    def floor(self) -> int:
        """The stack height the newest mark protects."""
        return self.marks[-1] if self.marks else 0

    def push(self, value: object) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> object:
        """Take the top of the stack."""
        if len(self.stack) <= self.floor:
            raise IndexError("the pickle takes more from its stack than it put there")
        return self.stack.pop()

    def top(self) -> object:
        """The top of the stack, left there."""
        if len(self.stack) <= self.floor:
            raise IndexError("the pickle looks below its stack")
        return self.stack[-1]

    def pop_mark(self) -> list[object]:
        """Everything above the newest mark, and the mark."""
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def remember(self, index: int) -> None:
        """Store the top of the stack in the memo."""
        if index < 0 or len(self.memo) >= MAX_MEMO:
            raise ValueError("the memo grows without bound")
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        """Push what the memo has."""
        self.push(self.memo[index])

    def new(self, value: object) -> None:
        """Push a container that was just made."""
        self.budget.allocate()
        self.push(value)

    def find(self, module: object, name: object) -> None:
        """Push the name of a class or function."""
        self.new(Global.checked(module, name))

    def call(self, callee: object, args: object, keywords: object = None) -> None:
        """Push what a call would describe."""
        self.budget.allocate()
        self.push(self.host.make(callee, args, keywords))
