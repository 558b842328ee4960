"""What a user asks for, before anything is opened."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ckpt2hf.output import WeightFormat
from ckpt2hf.report import CardWords
from ckpt2hf.tokenizers import AskedTokenizer
from ckpt2hf.verify import Level

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.rewrites import Exactness
    from ckpt2hf.tensors import DType


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A checkpoint and what the user says about it."""

    source: Path
    dialect: str | Path | None = None
    """The id of a built-in one; a path, or a text with `/` or ending in `.toml`, is the user's own file."""
    facts: tuple[str, ...] = ()
    """`field=value`, as after `--set`."""
    weights_key: str | None = None
    dtype: DType | None = None
    allow: tuple[Exactness, ...] = ()
    """Degrees of exactness that are only for those who ask for them: `Exactness.NUMERICAL`."""
    tokenizer: AskedTokenizer = field(default_factory=AskedTokenizer)
    """Which tokenizer the directory gets, and what its tokens are for."""
    reference: str | None = None
    """`model.py:ClassName`: the user's own code, run to decide what the file does not say."""
    reference_args: tuple[str, ...] = ()
    sample: Path | None = None
    """Text, or token ids, that decides what the file does not say, where the difference is significant."""
    sample_dtype: str | None = None
    """`uint16` or `uint32`: what a `.bin` sample holds, where its range leaves that open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Where and how the result is written and proved."""

    out: Path
    formats: tuple[WeightFormat, ...] = (WeightFormat.SAFETENSORS, WeightFormat.BIN)
    max_shard_bytes: int | None = None
    level: Level = Level.LOGITS
    force: bool = False
    allow_nonfinite: bool = False
    scratch: Path | None = None
    """Directory for what is fetched from a remote source and made for a remote output; None where TMPDIR says."""
    card: CardWords = field(default_factory=CardWords)
    """What is said about the model besides, for its card."""
    python_5x: Path | None = None
    """An interpreter whose transformers has the classes that ours does not have."""
    threads: int = 0
    """Threads that copy and compare; 0 for one per available core, at most 4."""

    @property
    def workers(self) -> int:
        """The number of threads."""
        return self.threads or min(len(os.sched_getaffinity(0)), 4)


class Progress(Protocol):
    """Who is told how far a run is. Called from one thread at a time."""

    def phase(self, name: str, total: int) -> None:
        """A phase begins; `total` bytes lie ahead, 0 when that is unknown."""
        ...

    def advance(self, nbytes: int) -> None:
        """So many bytes of the phase are done."""
        ...


class Silence:
    """A progress nobody looks at."""

    def phase(self, name: str, total: int) -> None:
        """Nothing."""

    def advance(self, nbytes: int) -> None:
        """Nothing."""
