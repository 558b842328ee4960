"""The token ids that say which columns of a matrix matter: other ones than those on which the result is measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.run.stage_tokens import MOST, Calibration

if TYPE_CHECKING:
    from ckpt2hf.run.forms_request import FormsRequest
    from ckpt2hf.tensors import Array

AUTO = "auto"
_LEAST = 256
"""Tokens that are little enough to say so."""


def importance_tokens(asked: FormsRequest, vocab: int, window: int, measured: Array) -> Array | None:
    """The ids `[stretches, tokens]`; None where nobody asks for any.

    Raises UsageError, NotFoundError, TokenizerError.
    """
    if asked.imatrix is None:
        return None
    if asked.imatrix != AUTO:
        given = Calibration(Path(asked.imatrix), None, None)
        return given.tokens(asked.directory, vocab, window).ids
    if asked.calibration is None:
        remedies = ["--calibration FILE", "--imatrix FILE"]
        raise UsageError("--imatrix auto takes what follows the measured tokens of --calibration", remedies=remedies)
    most = asked.max_tokens or MOST
    both = Calibration(asked.calibration, asked.calibration_dtype, 2 * most).tokens(asked.directory, vocab, window).ids
    # A file is cut into rows, or into a beginning of one long row.
    rest = both[len(measured) :] if len(both) > 1 else both[:, measured.shape[1] - 1 :]
    if rest.size < _LEAST:
        raise UsageError(
            f"{asked.calibration.name} has {rest.size} tokens after those on which forms are measured",
            where=str(asked.calibration),
            remedies=[f"--max-tokens {max(both.size // 2, 1)}   leaves half of them", "--imatrix FILE"],
        )
    return rest
