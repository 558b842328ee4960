"""The token ids on which a form is measured: the user's, or drawn ones, the same every time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import UsageError
from ckpt2hf.report import TokensReport
from ckpt2hf.run.held_out import of_text, of_tokens
from ckpt2hf.run.sample_files import is_text, require_file
from ckpt2hf.verify.directory_tokenizer import directory_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.tensors import Array

CALIBRATION = "--calibration"
MOST = 4096
"""Tokens that are predicted, unless the user says how many."""
_DRAWN = 1024
"""Ids that are drawn, in sequences of one window each; of a longer window, one sequence."""


@dataclass(frozen=True, slots=True)
class StageTokens:
    """Ids, and where they come from."""

    ids: Array
    """`[stretches, tokens]`, int64."""
    about: TokensReport
    notes: tuple[str, ...]

    @property
    def real(self) -> bool:
        """Whether the user gave them, so that predicting them means something."""
        return self.about.kind != "drawn"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the user says about it."""

    path: Path | None
    """Text or token ids; None for drawn ids."""
    dtype: str | None
    """What a `.bin` holds."""
    most: int | None
    """Tokens to be predicted."""

    def require(self, vocab: int, *, tokenizer: bool) -> None:
        """Refuse what can be seen to be wrong while there is no directory yet. Raises UsageError, NotFoundError."""
        if self.path is None:
            self._drawn(vocab, 1)
        elif not self._is_text():
            self._ids(vocab)
        elif not tokenizer:
            raise _no_tokenizer("the checkpoint", "--tokenizer FILE")

    def tokens(self, directory: Path, vocab: int, window: int) -> StageTokens:
        """The ids. Raises UsageError, NotFoundError, TokenizerError."""
        if self.path is None:
            return self._drawn(vocab, window)
        if not self._is_text():
            return self._ids(vocab)
        tokenizer = directory_tokenizer(directory)
        if tokenizer is None:
            raise _no_tokenizer(str(directory), "convert again with --tokenizer FILE")
        found = of_text(self.path, self.most or MOST, vocab, tokenizer, CALIBRATION)
        return _known(found.stretches, "text", self.path.name, found.notes)

    def _drawn(self, vocab: int, window: int) -> StageTokens:
        if self.dtype is not None or self.most is not None:
            raise UsageError(f"{CALIBRATION}-dtype and --max-tokens need {CALIBRATION}")
        shape = (max(_DRAWN // window, 1), window + 1)
        return _known(np.random.default_rng(0).integers(vocab, size=shape), "drawn", "", ())

    def _is_text(self) -> bool:
        """Whether the file holds text, which takes a tokenizer."""
        assert self.path is not None  # noqa: S101 - asked of a file only
        require_file(self.path, CALIBRATION)
        if self.most is not None and self.most < 1:
            raise UsageError(f"--max-tokens is 1 at least, not {self.most}")
        if not is_text(self.path):
            return False
        if self.dtype is not None:
            raise UsageError(f"{CALIBRATION}-dtype is about .bin files only", where=str(self.path))
        return True

    def _ids(self, vocab: int) -> StageTokens:
        assert self.path is not None  # noqa: S101 - asked of a file only
        given = of_tokens(self.path, self.dtype, self.most or MOST, vocab, None, CALIBRATION)
        return _known(given.stretches, "ids", self.path.name, ())


def _no_tokenizer(where: str, remedy: str) -> UsageError:
    remedies = ["token ids in a .bin, .npy or .pt", remedy]
    return UsageError(
        f"a text after {CALIBRATION} needs a tokenizer, and there is none", where=where, remedies=remedies
    )


def _known(ids: Array, kind: str, name: str, notes: tuple[str, ...]) -> StageTokens:
    whole = np.ascontiguousarray(ids, "<i8")
    digest = hashlib.sha256(whole.tobytes()).hexdigest()
    return StageTokens(whole, TokensReport(kind, name, digest, whole.size), notes)
