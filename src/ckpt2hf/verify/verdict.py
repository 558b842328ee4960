"""The outcome of verification: values with numbers in them, never an exception."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Number: TypeAlias = float | int | str | bool
"""What a check measured; text where the measurement is a name."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: whether it held, in one sentence, with the numbers behind the sentence."""

    name: str
    passed: bool
    summary: str
    numbers: Mapping[str, Number] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every check of one level (`structure`, `bytes`, `logits`), in the order in which they ran."""

    level: str
    checks: tuple[Check, ...]

    @property
    def proved(self) -> bool:
        """Whether something was checked and all of it held."""
        return bool(self.checks) and all(check.passed for check in self.checks)
