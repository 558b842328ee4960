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


def stage_tokens(
    directory: Path, calibration: Path | None, dtype: str | None, most: int | None, vocab: int, window: int
) -> StageTokens:
    """The ids. Raises UsageError, NotFoundError, TokenizerError."""
    if calibration is None:
        if dtype is not None or most is not None:
            raise UsageError(f"{CALIBRATION}-dtype and --max-tokens need {CALIBRATION}")
        shape = (max(_DRAWN // window, 1), window + 1)
        return _known(np.random.default_rng(0).integers(vocab, size=shape), "drawn", "", ())
    require_file(calibration, CALIBRATION)
    if most is not None and most < 1:
        raise UsageError(f"--max-tokens is 1 at least, not {most}")
    if not is_text(calibration):
        given = of_tokens(calibration, dtype, most or MOST, vocab, None, CALIBRATION)
        return _known(given.stretches, "ids", calibration.name, ())
    if dtype is not None:
        raise UsageError(f"{CALIBRATION}-dtype is about .bin files only", where=str(calibration))
    tokenizer = directory_tokenizer(directory)
    if tokenizer is None:
        remedies = ["token ids in a .bin, .npy or .pt", "convert again with --tokenizer FILE"]
        raise UsageError("a text needs a tokenizer in the directory", where=str(directory), remedies=remedies)
    found = of_text(calibration, most or MOST, vocab, tokenizer, CALIBRATION)
    return _known(found.stretches, "text", calibration.name, found.notes)


def _known(ids: Array, kind: str, name: str, notes: tuple[str, ...]) -> StageTokens:
    whole = np.ascontiguousarray(ids, "<i8")
    digest = hashlib.sha256(whole.tobytes()).hexdigest()
    return StageTokens(whole, TokensReport(kind, name, digest, whole.size), notes)
