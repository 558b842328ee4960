"""What a kind of tokenizer file is: how it is found, how it is told from others, how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ckpt2hf.tokenizers.source import TokenizerSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What the user says about a tokenizer file that does not hold everything."""

    pattern: str | None = None
    """Of a tiktoken rank file: how text is split before merging, by the name of an encoding or as a regex."""
    special_tokens: Mapping[str, int] | None = None
    """Of a tiktoken rank file: its special tokens and their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of tokenizer file."""

    id: str
    title: str
    """In the list of kinds, such as `SentencePiece model`."""
    beside: tuple[str, ...]
    """What such files are called beside a checkpoint: a name, or `*` and an ending."""
    packages: tuple[str, ...]
    """What has to be installed to read it, and to compare with it."""
    fits: Callable[[Path, bytes], bool]
    """Whether a file is of this kind, by its name and its first bytes (`HEAD` of them)."""
    read: Callable[[Path, Hints], TokenizerSource]
    """The tokenizer in such a file. Raises TokenizerError, NotFoundError."""


HEAD = 4096
"""Bytes of a file that are looked at to tell its kind."""
