"""SentencePiece's pieces for llama.cpp's models `llama` and `t5`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from ckpt2hf.tokenizers.sentencepiece_pieces import SPACE, Inexpressible

if TYPE_CHECKING:
    from ckpt2hf.stages.gguf.vocabulary_source import Source


def fits(source: Source) -> bool:
    """Whether a tokenizer marks spaces as SentencePiece does."""
    return source.model.get("type") == "Unigram" or any(token.startswith(SPACE) for token in source.own)


def merged(_source: Source) -> NoReturn:
    """A BPE of pieces. Raises Inexpressible."""
    raise Inexpressible("it is a SentencePiece BPE")


def unigram(_source: Source) -> NoReturn:
    """A unigram model. Raises Inexpressible."""
    raise Inexpressible("it is a SentencePiece unigram model")
