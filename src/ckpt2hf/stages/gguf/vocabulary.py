"""The tokenizer of a converted directory as the keys of a GGUF file, or why llama.cpp cannot express it.

It needs neither PyTorch nor llama.cpp, so that a refusal comes before any work. What is refused would be another
tokenizer in llama.cpp than in transformers: for some texts it would give ids that the model was not trained with.

Source: ggml-org/llama.cpp@0c1e570 src/llama-vocab.cpp (`llama_vocab::impl::load`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError
from ckpt2hf.stages.gguf import vocabulary_bytes, vocabulary_pieces, vocabulary_unigram
from ckpt2hf.stages.gguf.vocabulary_source import read
from ckpt2hf.stages.gguf.vocabulary_special import finished
from ckpt2hf.stages.gguf.vocabulary_table import Vocabulary
from ckpt2hf.tokenizers import TOKENIZER
from ckpt2hf.tokenizers.sentencepiece_pieces import Inexpressible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import gguf

    from ckpt2hf.stages.gguf.vocabulary_source import Source
    from ckpt2hf.stages.gguf.vocabulary_table import Draft

__all__ = ["NONE", "Vocabulary", "vocabulary_of", "write_none"]

NONE = "--gguf-tokenizer none   writes token ids only"
"""The way on that is always there."""
_BYTES = (
    "train a byte-level BPE: ByteLevel(add_prefix_space=False) as pre-tokenizer, ByteLevel() as decoder, "
    "ByteLevel.alphabet() as initial alphabet, no normalizer"
)
_PIECES = (
    "train with SentencePiece: BPE with byte_fallback, normalization_rule_name=identity and "
    "remove_extra_whitespaces=false; or unigram as it is by default"
)


def vocabulary_of(directory: Path, rows: int) -> Vocabulary | None:
    """The vocabulary of a directory whose model has so many rows in its embedding; None where it has no tokenizer.

    Raises TokenizerError for a tokenizer that llama.cpp cannot express, or that has an id without a row.
    """
    source = read(directory)
    if source is None:
        return None
    try:
        return finished(source, _drafted(source), rows)
    except Inexpressible as error:
        raise TokenizerError(
            "llama.cpp cannot express the tokenizer of the directory",
            details=[str(error)],
            where=str(directory / TOKENIZER),
            tried=f"{source.model.get('type')} of the tokenizers library",
            remedies=[NONE, _PIECES if _marks_spaces(source) else _BYTES],
        ) from error


def _drafted(source: Source) -> Draft:
    """The vocabulary without what is common to all kinds. Raises Inexpressible."""
    kinds: Mapping[str, Callable[[Source], Draft]] = {
        "byte-level": vocabulary_bytes.byte_level,
        "characters": vocabulary_bytes.characters,
        "pieces": vocabulary_pieces.merged,
        "unigram": vocabulary_unigram.unigram,
    }
    return kinds[_kind(source)](source)


def _marks_spaces(source: Source) -> bool:
    return source.model.get("type") == "Unigram" or vocabulary_pieces.fits(source)


def _kind(source: Source) -> str:
    """What of llama.cpp's a tokenizer may be. Raises Inexpressible."""
    kind = source.model.get("type")
    if kind == "BPE":
        if vocabulary_bytes.fits(source):
            return "byte-level"
        if vocabulary_pieces.fits(source):
            return "pieces"
        raise Inexpressible(vocabulary_bytes.other_split(source))
    if kind == "Unigram":
        return "unigram"
    if kind == "WordLevel" and vocabulary_bytes.single(source):
        return "characters"
    if kind == "WordLevel":
        raise Inexpressible("it looks up whole words (WordLevel), and llama.cpp has no such tokenizer")
    raise Inexpressible(f"llama.cpp has nothing that does what its model {kind} does in a GPT")


def write_none(writer: gguf.GGUFWriter) -> None:
    """Add the key of a file without tokenizer.

    llama.cpp takes the number of tokens from the architecture's vocabulary size, then, and gives each an empty text.
    """
    writer.add_tokenizer_model("none")
