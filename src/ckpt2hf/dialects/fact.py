"""A fact: one field of the spec, its value, and where it came from. And the questions left when there is none."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from ckpt2hf.ir import written


class Origin(enum.Enum):
    """Where a fact came from."""

    METADATA = "metadata"
    """The checkpoint's own metadata."""
    TENSORS = "tensors"
    """Names, shapes or values of the tensors."""
    MODULE = "module"
    """A pickled module's class or attribute."""
    SIDE_FILE = "side file"
    """A settings file beside the checkpoint."""
    DIALECT = "dialect"
    """The source code of the codebase, as the dialect records it."""
    FAMILY = "family"
    """What a whole family of models has in common, where the dialect says nothing else."""
    DERIVED = "derived"
    """Arithmetic on other facts."""
    USER = "user"
    """The user's word: `--set`, or `[set]` in `ckpt2hf.toml`."""
    REFERENCE = "reference"
    """The user's own model code, run and compared."""
    SAMPLE = "sample"
    """Text the model predicts best when it is read so, significantly."""

    @property
    def is_evidence(self) -> bool:
        """Whether the file itself says so: such a fact cannot be overridden."""
        return self in {Origin.METADATA, Origin.TENSORS, Origin.MODULE}

    @property
    def is_opinion(self) -> bool:
        """Whether only a codebase's source says so, which a user who knows better may override."""
        return self in {Origin.DIALECT, Origin.FAMILY}


@dataclass(frozen=True, slots=True)
class Fact:
    """The value of a field and where it came from."""

    field: str
    value: Any
    origin: Origin
    where: str
    """For people: a metadata path, a tensor name, a reason."""

    def __str__(self) -> str:
        """Such as `heads = 12 (metadata: model_args.n_head)`."""
        return f"{self.field} = {written(self.value)} ({self.origin.value}: {self.where})"


@dataclass(frozen=True, slots=True)
class Question:
    """A field nothing in the file decides, and what a person can answer."""

    field: str
    text: str
    choices: dict[str, str]
    """Each answer with its meaning; empty when any value will do."""
    if_named: Fact | None = None
    """What the user says by naming the dialect: its own answer, which other codebases with these names do not share."""

    @property
    def flags(self) -> list[str]:
        """The exact command line words that answer it."""
        return [flag(self.field, answer) for answer in self.choices] or [f"--set {self.field}=N"]


def flag(field: str, value: object) -> str:
    """The `--set` for a value, quoted where a shell would otherwise touch it."""
    text = f"{field}={written(value)}"
    return f"--set '{text}'" if "*" in text else f"--set {text}"
