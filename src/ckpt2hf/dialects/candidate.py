"""A reading of a checkpoint: a layout that fits, and what is known when the file is read so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.ir import FIELDS

if TYPE_CHECKING:
    from ckpt2hf.dialects.fit import Fit
    from ckpt2hf.dialects.resolve import Resolution
    from ckpt2hf.dialects.weighing import Weighing


@dataclass(frozen=True, slots=True)
class Candidate:
    """A layout that fits, with what is known about the checkpoint when it is read so."""

    fit: Fit
    resolution: Resolution
    named: bool
    """Whether the user named the dialect."""
    weighing: Weighing | None = None
    """What a sample of text showed, where one was asked."""

    @property
    def reason(self) -> str:
        """Why the checkpoint is read so."""
        who = "the user's own dialect file" if self.fit.dialect.file else "named by the user"
        return f"{who}; {self.fit.reason}" if self.named else self.fit.reason

    @property
    def complete(self) -> bool:
        """Whether the spec is known."""
        return not self.resolution.conflicts and self.resolution.facts.keys() == set(FIELDS)
