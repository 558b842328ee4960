"""A sample of text as windows of token ids: read from whatever file it is in, cut, and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import UsageError
from ckpt2hf.remote import is_remote
from ckpt2hf.run.sample_files import IDS, read_ids, read_text
from ckpt2hf.sources import sha256_of
from ckpt2hf.tokenizers import AskedTokenizer
from ckpt2hf.verify.effort import multiply_adds
from ckpt2hf.verify.weigh import LEAST_WINDOWS, SCREEN

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.ir import ModelSpec
    from ckpt2hf.tensors import Array

LONGEST = 256
"""Tokens predicted in a window, at most: more of them say little more, and windows are what a test counts."""
LEAST = 64
"""The same for a model so large that a first look at longer windows would take minutes."""
FIRST_LOOK = 1e11
"""Multiply-adds for which a reading is measured on the first windows: a few seconds on two cores."""
SHORTEST = 16
"""Tokens predicted in a window, at least, where the context allows; rows that are shorter are one stretch of text."""
WANTED = 32
"""Windows that are worth cutting them shorter for."""
MOST = 128
"""Windows that are used of a sample, however long it is."""
AFFORDABLE = 5e11
"""Multiply-adds for which one reading is measured on more than `WANTED` windows: ten seconds or so on two cores."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A file of text or token ids, and what is said about it."""

    path: Path
    tokenizer: AskedTokenizer = field(default_factory=AskedTokenizer)
    """Which tokenizer makes ids of text."""
    dtype: str | None = None
    """`uint16` or `uint32`, for a `.bin`."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What is used of a sample."""

    ids: Array
    """`[windows, length + 1]`: each token but the first is predicted from those before it in its window."""
    tokens: int
    """Of the whole sample, as far as it was read."""
    tokenizer: Path | None
    """The one that made ids of text."""
    sha256: str

    @property
    def length(self) -> int:
        """Tokens predicted in each window."""
        return int(self.ids.shape[1]) - 1


def read_windows(sample: Sample, spec: ModelSpec, folder: Path) -> Windows:
    """The windows of a sample for a model. Its tokenizer may lie in `folder`. Raises UsageError, NotFoundError."""
    if is_remote(sample.path):
        raise UsageError("--sample takes a local file", where=str(sample.path), remedies=["fetch it first"])
    stretches, tokenizer = _stretches(sample, spec.vocab, folder)
    ids = cut(stretches, spec, str(sample.path))
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= spec.vocab:
        wrong = low if low < 0 else high
        raise UsageError(
            f"the sample has the token id {wrong}, which is outside the vocabulary of {spec.vocab}",
            where=str(sample.path),
            tried=f"ids made by {tokenizer}" if tokenizer else None,
            remedies=["text, or token ids, of the tokenizer the model was trained with"],
        )
    return Windows(ids, stretches.size, tokenizer, sha256_of(sample.path))


def cut(stretches: Array, spec: ModelSpec, where: str) -> Array:
    """Windows out of stretches of text `[stretches, tokens]`, none over an edge, spread evenly. Raises UsageError."""
    if stretches.shape[1] <= SHORTEST:
        stretches = stretches.reshape(1, -1)
    count, size = stretches.shape
    longest = min(spec.context, LONGEST, max(LEAST, int(FIRST_LOOK / (SCREEN * multiply_adds(spec))))) + 1
    fitting = min(longest, max(SHORTEST + 1, stretches.size // WANTED), size)
    each = size // max(fitting, 1)
    if fitting < 2 or each * count < LEAST_WINDOWS:  # noqa: PLR2004 - one token to see and one to predict
        least = LEAST_WINDOWS * min(longest, SHORTEST + 1)
        raise UsageError(
            f"the sample is too short: {stretches.size} tokens, and at least {least} are needed",
            where=where,
            remedies=["a longer sample: a few thousand tokens decide most facts"],
        )
    affordable = int(AFFORDABLE / (fitting * multiply_adds(spec)))
    used = min(each * count, max(WANTED, min(MOST, affordable)))
    chosen = np.linspace(0, each * count - 1, used).round().astype(np.int64)
    rows = [stretches[n // each, n % each * fitting : (n % each + 1) * fitting] for n in chosen]
    ids: Array = np.stack([np.asarray(row).astype(np.int64) for row in rows])
    return ids


def _stretches(sample: Sample, vocab: int, folder: Path) -> tuple[Array, Path | None]:
    if sample.path.suffix.lower() not in IDS:
        if sample.dtype is not None:
            raise UsageError("--sample-dtype is about .bin files only", where=str(sample.path))
        return read_text(sample.path, sample.tokenizer, folder)
    return read_ids(sample.path, sample.dtype, vocab), None
