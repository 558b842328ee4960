"""The kinds of tokenizer files, and which of them a file is."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import (
    characters,
    sentencepiece_model,
    tiktoken_ranks,
    tokenizer_json,
    vocab_merges,
    vocabulary_list,
)
from ckpt2hf.tokenizers.data import not_found
from ckpt2hf.tokenizers.format import HEAD, Format, Hints

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.tokenizers.source import TokenizerSource

FORMATS: tuple[Format, ...] = (
    tokenizer_json.FORMAT,
    sentencepiece_model.FORMAT,
    tiktoken_ranks.PICKLE,
    tiktoken_ranks.RANKS,
    vocab_merges.FORMAT,
    characters.FORMAT,
    vocabulary_list.FORMAT,
)
"""Every kind, the one that says most about its tokenizer first."""


def format_of(path: Path) -> Format | None:
    """The kind of a file by its name and its beginning; None for what is no tokenizer. Raises NotFoundError."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise not_found(path, error) from error
    return next((kind for kind in FORMATS if kind.fits(path, head)), None)


def read(path: Path, hints: Hints) -> TokenizerSource:
    """The tokenizer in a file. Raises TokenizerError, NotFoundError."""
    kind = format_of(path)
    if kind is None:
        raise TokenizerError(
            f"{path.name} is no tokenizer that is known here",
            where=str(path),
            remedies=[f"one of these: {kind.title}" for kind in FORMATS],
        )
    absent = [name for name in kind.packages if not _installed(name)]
    if absent:
        raise TokenizerError(
            f"reading {path.name} needs {' and '.join(absent)}",
            where=str(path),
            tried=kind.title,
            remedies=["pip install 'ckpt2hf[tokenizer]'", "--tokenizer none   (the directory is made without)"],
        )
    return kind.read(path, hints)


def _installed(name: str) -> bool:
    """Whether a package, or one in another, is there to import."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the package it would be in
        return False
