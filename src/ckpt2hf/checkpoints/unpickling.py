"""The one way a pickle is read: its value, or one clear error, whatever its bytes are."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from ckpt2hf.checkpoints.constructors import Constructor
from ckpt2hf.checkpoints.machine import Machine
from ckpt2hf.errors import CheckpointError

if TYPE_CHECKING:
    from ckpt2hf.checkpoints.constructors import Storages
    from ckpt2hf.checkpoints.cursor import Budget, Cursor

BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
"""What malformed bytes can raise inside the virtual machine."""


def unpickle(cursor: Cursor, storages: Storages, budget: Budget, *, where: str) -> object:
    """The value of the pickle at the cursor, which is left behind it. Raises CheckpointError, nothing else."""
    start = cursor.position
    try:
        return Machine(cursor, Constructor(storages, budget), budget).load()
    except BROKEN as error:
        raise CheckpointError(
            "the pickle in this file cannot be read",
            details=[
                f"{type(error).__name__ if not str(error) else error}",
                f"at byte {cursor.position} (the pickle starts at {start}, {cursor.end} bytes are there)",
            ],
            where=where,
            tried="reading it without executing it",
            remedies=[
                "copy or download the file again, it may be damaged",
                "save it once more with torch.save(model.state_dict(), path)",
            ],
        ) from error
