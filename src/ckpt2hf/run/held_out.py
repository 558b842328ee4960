"""Held-out text as stretches of token ids, and how many bytes of text those are that will be predicted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ckpt2hf.errors import UsageError
from ckpt2hf.run.sample_files import beginning, read_ids
from ckpt2hf.verify.directory_tokenizer import added_bytes, listed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ckpt2hf.tensors import Array
    from ckpt2hf.verify.directory_tokenizer import DirectoryTokenizer

TEXT, TOKENS = "--text", "--tokens"
"""The options that name the file."""
MOST_TEXT = 2 << 20
"""Bytes of a text that are encoded, in one piece, since pieces would become other tokens: some 300 MiB of memory."""
_BYTES_A_TOKEN = 32
"""Bytes of text that are read for each token that is asked for: more than tokens have on average."""
_SCANNED = 1 << 22
"""Ids that are looked at, at a time."""
_DECODED = 4096
"""Ids that are decoded at a time."""
_BEFORE = 16
"""Ids that are decoded again in front of the next ones, so that the edge between them changes nothing."""
_PAIR = 2


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What is predicted, but for the first token of each stretch."""

    stretches: Array
    """Token ids `[stretches, tokens]`, which may be a mapped file."""
    nbytes: int | None
    """Bytes of the text that is predicted; None where nobody knows."""
    notes: tuple[str, ...]
    """What a person should know about it."""


def of_text(source: Path, most: int | None, vocab: int, tokenizer: DirectoryTokenizer, option: str = TEXT) -> HeldOut:
    """A text, of which `most` tokens are predicted, if that is a number.

    Raises UsageError, TokenizerError, NotFoundError.
    """
    limit = MOST_TEXT if most is None else min(MOST_TEXT, (most + 1) * _BYTES_A_TOKEN)
    text, whole = beginning(source, limit, option)
    encoded = tokenizer.encode_text(text)
    if most is not None and len(encoded.ids) <= most and limit < MOST_TEXT and not whole:
        text, whole = beginning(source, MOST_TEXT, option)
        encoded = tokenizer.encode_text(text)
    wanted = len(encoded.ids) if most is None else most + 1
    if not whole and wanted >= len(encoded.ids):
        raise UsageError(
            f"{source.name} is longer than the {MOST_TEXT >> 20} MiB of text that are encoded at once",
            where=str(source),
            remedies=[
                f"--max-tokens {max(len(encoded.ids) - _PAIR, 1)}   (its beginning)",
                "ids that were encoded before, after --tokens: a .bin or .npy may have any length",
            ],
        )
    ids = np.array(encoded.ids[:wanted], np.int64)[None]
    _require_tokens(ids, source)
    _require_vocabulary(ids, vocab, source)
    end = len(text) if ids.size == len(encoded.ids) else encoded.end(ids.size - 1)
    nbytes = len(text[encoded.end(0) : end].encode())
    return HeldOut(ids, nbytes, tuple(_unknown(tokenizer, text[:end], ids)))


def of_tokens(
    source: Path,
    dtype: str | None,
    most: int | None,
    vocab: int,
    tokenizer: DirectoryTokenizer | None,
    option: str = TOKENS,
) -> HeldOut:
    """The token ids of a file, of which `most` are predicted, if that is a number. Raises UsageError, NotFoundError."""
    stretches = read_ids(source, dtype, vocab, option)
    _require_tokens(stretches, source)
    if most is not None:
        rows = most // (stretches.shape[1] - 1)
        stretches = stretches[:rows] if rows else stretches[:1, : most + 1]
    _require_vocabulary(stretches, vocab, source)
    if tokenizer is None:
        return HeldOut(stretches, None, ("bits per byte need a tokenizer in the directory, to know the text",))
    nbytes = sum(_bytes(tokenizer, row) for row in stretches)
    note = "bytes are those of the text that the tokenizer makes of the ids, special tokens left out"
    return HeldOut(stretches, nbytes, (note,))


def _bytes(tokenizer: DirectoryTokenizer, row: Array) -> int:
    """The bytes of text that all ids but the first stand for."""
    found = 0
    for first in range(1, len(row), _DECODED):
        before: Sequence[int] = row[max(first - _BEFORE, 0) : first].tolist()
        found += added_bytes(tokenizer, before, row[first : first + _DECODED].tolist())
    return found


def _unknown(tokenizer: DirectoryTokenizer, text: str, ids: Array) -> list[str]:
    """What to say of characters that the tokenizer does not know."""
    left_out, unknown = tokenizer.unknown(text)
    notes = []
    if left_out:
        notes.append(f"the tokenizer leaves out {listed(left_out)}, so nobody had to predict that")
    if unknown:
        count = int((ids == tokenizer.unknown_id).sum())
        name = tokenizer.token(tokenizer.unknown_id)
        notes.append(f"{count} tokens are {name}, for {listed(unknown)}: the model need not tell those apart")
    return notes


def _require_tokens(stretches: Array, source: Path) -> None:
    """Raises UsageError where nothing can be predicted."""
    if stretches.shape[1] < _PAIR:
        rows = f"{len(stretches)} rows of one token each" if len(stretches) > 1 else f"{stretches.size} tokens"
        raise UsageError(
            f"{source.name} holds {rows}, and a token is predicted from those before it",
            where=str(source),
            remedies=["a text of two tokens at least", "ids.reshape(-1)   (if all of them are one text)"],
        )


def _require_vocabulary(stretches: Array, vocab: int, source: Path) -> None:
    """Raises UsageError for an id that the model has no row for."""
    rows = max(_SCANNED // stretches.shape[1], 1)
    for row in range(0, len(stretches), rows):
        for column in range(0, stretches.shape[1], _SCANNED):
            part = stretches[row : row + rows, column : column + _SCANNED]
            low, high = int(part.min()), int(part.max())
            if low < 0 or high >= vocab:
                raise UsageError(
                    f"{source.name} has the token id {low if low < 0 else high}, outside the vocabulary of {vocab}",
                    where=str(source),
                    remedies=["text, or token ids, of the tokenizer the model was trained with"],
                )
