"""Whether two files hold one tokenizer."""

from __future__ import annotations

from ckpt2hf.tokenizers.probes import PROBES
from ckpt2hf.tokenizers.source import Original, TokenizerSource, Unencodable


def same(one: TokenizerSource, other: TokenizerSource) -> bool:
    """Whether two tokenizers give each built-in text the same ids, by the encoders they were trained with."""
    return all(encoded(one.original, text) == encoded(other.original, text) for text in PROBES.values())


def encoded(original: Original, text: str) -> list[int] | None:
    """The ids of a text; None where the encoder refuses it."""
    try:
        return original.encode(text)
    except Unencodable:
        return None
