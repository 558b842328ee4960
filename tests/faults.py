"""System calls that fail when a test says so."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class FailsAt:
    """A function that works except for one call."""

    def __init__(self, real: Callable[..., Any], at: int | None, number: int) -> None:
        """Call `at`, counted from 0, raises the OSError of this number; None: no call does."""
        self.real, self.at, self.number, self.calls = real, at, number, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls - 1 == self.at:
            raise OSError(self.number, os.strerror(self.number))
        return self.real(*args, **kwargs)
