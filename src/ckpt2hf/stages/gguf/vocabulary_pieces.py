"""BPE of SentencePiece's kind for llama.cpp's model `llama`.

llama.cpp merges any two neighbours whose joint text is a token, the best score first. The tokenizers library merges the
pairs that it is given, in their order. Both do the same where each token comes about from one pair only, the one that
merging its own characters ends with (`ckpt2hf.tokenizers.merges` says why), and where no other token can be put
together.

Source: ggml-org/llama.cpp@0c1e570 src/llama-vocab.cpp (`llm_tokenizer_spm_session`, `llama_vocab::impl::tokenize`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.stages.gguf.vocabulary_table import Draft, pairs, parts
from ckpt2hf.tokenizers.merges import merges
from ckpt2hf.tokenizers.sentencepiece_pieces import SPACE, Inexpressible, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ckpt2hf.stages.gguf.vocabulary_source import Source

MODEL = "llama"
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""The tokens that a character is written with that is none itself."""
_NOWHERE = (0xFF, 0xFE, 0xC0, 0xC1)
"""Some bytes that no text in UTF-8 has."""


def fits(source: Source) -> bool:
    """Whether a BPE marks spaces as SentencePiece does."""
    return any(token.startswith(SPACE) for token in source.own)


def merged(source: Source) -> Draft:
    """A BPE of pieces. Raises Inexpressible."""
    model = source.model
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Inexpressible(f"its model has {key} {model[key]!r}, and llama.cpp has not")
    if model.get("ignore_merges"):
        raise Inexpressible(
            "it takes a part of a text that is a token as it is (ignore_merges), as SentencePiece's user-defined "
            "symbols are; llama.cpp always merges, and puts a space behind such a symbol"
        )
    if not model.get("byte_fallback") or not set(BYTES) <= set(source.own):
        raise Inexpressible(
            "a character that is no token is unknown to it (no byte_fallback, or not all 256 byte tokens), and "
            "llama.cpp has to write such a character as its bytes"
        )
    changed = next((each for each in source.added if each.normalized), None)
    if changed is not None:
        raise Inexpressible(
            f"its token {changed.content!r} is looked for in the changed text (normalized), and in llama.cpp before"
        )
    prefix = _prefix(source)
    ranks = _ranks(source)
    _require_unmade(source, ranks)
    texts = {number: token for token, number in source.own.items()}
    kinds = {number: Kind.BYTE if token in BYTES else Kind.NORMAL for token, number in source.own.items()}
    for each in source.added:
        texts[each.id] = each.content
        kinds[each.id] = Kind.CONTROL if each.special else Kind.USER_DEFINED
    unknown = source.own.get(str(model.get("unk_token")))
    if unknown is not None and (kinds[unknown] is Kind.CONTROL or not source.specials_in_text):
        kinds[unknown] = Kind.UNKNOWN
    return Draft(
        model=MODEL,
        texts=texts,
        kinds=kinds,
        scores={number: -float(ranks.get(token, 0)) for number, token in texts.items()},
        unknown=unknown,
        harmless=tuple(source.own[BYTES[byte]] for byte in _NOWHERE),
        add_space_prefix=prefix,
    )


def _prefix(source: Source) -> bool:
    """Whether a space is put before a text; nothing else may be done to it but writing spaces as ▁.

    Raises Inexpressible.
    """
    prefix, marked = False, False
    for part in parts(source.table.get("normalizer"), "normalizers"):
        if part.get("type") == "Prepend" and part.get("prepend") in (" ", SPACE) and not prefix:
            prefix = True
        elif part.get("type") == "Replace" and part.get("pattern") == {"String": " "} and part.get("content") == SPACE:
            marked = True
        else:
            raise Inexpressible(
                f"its normalizer {part.get('type')} changes a text before it is split, as SentencePiece's tables and "
                "remove_extra_whitespaces do, and llama.cpp changes none for a BPE"
            )
    for part in parts(source.table.get("pre_tokenizer"), "pretokenizers"):
        if part.get("type") != "Metaspace" or part.get("replacement") != SPACE:
            raise Inexpressible(f"its pre-tokenizer is {part.get('type')}, and llama.cpp merges a text as a whole")
        if part.get("prepend_scheme", "always") != "never":
            raise Inexpressible(
                "its pre-tokenizer Metaspace puts a space before a text that does not begin with one, and llama.cpp "
                "before any"
            )
        marked = True
        inside = next((token for token in source.own if SPACE in token[1:]), None)
        if part.get("split", True) and inside is not None:
            raise Inexpressible(f"its pre-tokenizer splits at spaces, and its token {inside!r} has one inside")
    if not marked:
        raise Inexpressible(f"it does not write spaces as {SPACE}, and llama.cpp does")
    return prefix


def _ranks(source: Source) -> dict[str, int]:
    """How early each token is merged. Raises Inexpressible where scores cannot say the same as the merges."""
    given = pairs(source.model)
    ranks = {left + right: rank for rank, (left, right) in enumerate(given)}
    expected = merges(ranks)
    if expected != given:
        at = next((k for k, (a, b) in enumerate(zip(given, expected, strict=False)) if a != b), len(expected))
        raise Inexpressible(
            f"its merge {' + '.join(given[at])} is not the only one, or not the one that merging by scores comes to"
        )
    return ranks


def _require_unmade(source: Source, ranks: Mapping[str, int]) -> None:
    """Raises Inexpressible for a token that no merge gives, and that llama.cpp could put together from two others."""
    for token in source.ids:
        if len(token) > 1 and token not in ranks and any(_halves(token, source.ids)):
            raise Inexpressible(f"no merge gives its token {token!r}, and llama.cpp could put it together")


def _halves(token: str, known: Mapping[str, Any]) -> Iterable[bool]:
    for at in range(1, len(token)):
        yield all(len(half) == 1 or half in known for half in (token[:at], token[at:]))
