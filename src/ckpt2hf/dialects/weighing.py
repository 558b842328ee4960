"""What a sample of text says about the readings of a checkpoint: measurements and the decisions they allow."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Standing(enum.Enum):
    """How a reading compares with the best one."""

    BEST = "best"
    """It loses least."""
    LEVEL = "not told apart"
    """It is not shown to lose more than the best one."""
    WORSE = "worse"
    """It loses more, by more than chance and by more than the margin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """One reading, measured."""

    dialect: str
    answers: Mapping[str, str]
    """The values of the fields that were tried."""
    loss: float
    """Nats per token, on the windows it was measured on."""
    behind: float
    """Nats per token more than the best reading, on the same windows."""
    error: float
    """Standard error of that difference."""
    p: float
    """Of the one-sided paired t-test against the best reading; the larger one of the two differences."""
    tempered: float
    """The same difference with the logits of each divided by what suits it best."""
    windows: int
    """On how many windows: a reading that was hopeless on a few was not measured on the rest."""
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A model without context, and the best reading held against it."""

    name: str
    loss: float
    """Nats per token."""
    behind: float
    """Nats per token more than the best reading."""
    p: float
    """Of the one-sided paired t-test: small where the best reading is better."""
    beaten: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Everything a sample showed."""

    sample: Path
    tokenizer: Path | None
    sha256: str
    tokens: int
    """Of the sample, as far as it was read."""
    windows: int
    length: int
    """Tokens predicted in each window."""
    combinations: int
    """Combinations of answers there are: all of them count in the correction, tried or not."""
    exhaustive: bool
    """Whether all were tried; else every one that differs from the best in fields that belong together."""
    level: float
    """Of each test, after the correction."""
    floor: float
    """Nats per token that a difference had to exceed as well: the margin, or more where float32 was off by more."""
    temperature: float
    """What suits the best reading's logits to be divided by; above 1 it is too sure of itself on this text."""
    gain: float
    """Nats per token that this would gain."""
    baselines: tuple[Baseline, ...]
    rows: tuple[Weighed, ...]
    """The best first."""
    open: tuple[str, ...]
    """Fields that nothing else decides."""
    decided: Mapping[str, str]
    """Of those, the ones the sample decides."""
    stated: Mapping[str, str]
    """Fields that something else decides and the sample was asked to confirm."""
    against: Mapping[str, str]
    """Of those, the ones the sample contradicts, with the value it is for."""

    @property
    def learned(self) -> bool:
        """Whether the best reading is better than every model without context."""
        return all(each.beaten for each in self.baselines)

    @property
    def undecided(self) -> tuple[str, ...]:
        """The open fields that are still open."""
        return tuple(name for name in self.open if name not in self.decided)
