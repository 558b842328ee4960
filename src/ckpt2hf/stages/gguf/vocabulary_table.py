"""What a GGUF file says of a tokenizer, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import gguf

    from ckpt2hf.tokenizers.sentencepiece_pieces import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is particular to a kind of tokenizer: its tokens by id, and how text becomes them."""

    model: str
    """`gpt2`, `llama` or `t5`: byte-level BPE, SentencePiece's BPE and unigram."""
    texts: Mapping[int, str]
    """How llama.cpp writes each token that there is."""
    kinds: Mapping[int, Kind]
    pre: str = "default"
    scores: Mapping[int, float] = field(default_factory=dict)
    merges: tuple[str, ...] = ()
    unknown: int | None = None
    """What a character becomes that is no token, whatever the settings name."""
    harmless: tuple[int, ...] = ()
    """Tokens that no text has, or hardly any, the best first: one of them ends a text where none is named for that."""
    add_space_prefix: bool = False
    remove_extra_whitespaces: bool = False
    charsmap: bytes = b""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The keys `tokenizer.ggml.*` of a file."""

    model: str
    """`gpt2`, `llama` or `t5`."""
    pre: str
    """How text is split, by llama.cpp's name; `default` for models other than `gpt2`, which do not look at it."""
    tokens: tuple[str, ...]
    """One for each row of the embedding."""
    types: tuple[int, ...]
    scores: tuple[float, ...]
    """Empty for `gpt2`."""
    merges: tuple[str, ...]
    """Empty for models other than `gpt2`."""
    specials: Mapping[str, int]
    """Ids by role: `bos`, `eos`, `unk`, `pad`."""
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    remove_extra_whitespaces: bool
    charsmap: bytes
    """SentencePiece's table of normalization; only for `t5`."""
    notes: tuple[str, ...]
    """What a person should know: where llama.cpp does with a text what transformers does not."""

    def write(self, writer: gguf.GGUFWriter) -> None:
        """Add the keys to a file."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        if self.scores:
            writer.add_token_scores(self.scores)
        writer.add_token_types(self.types)
        if self.merges:
            writer.add_token_merges(self.merges)
        for role, number in self.specials.items():
            getattr(writer, f"add_{role}_token_id")(number)
        writer.add_add_bos_token(self.add_bos)
        writer.add_add_eos_token(self.add_eos)
        writer.add_add_space_prefix(self.add_space_prefix)
        if self.model != "gpt2":
            writer.add_remove_extra_whitespaces(self.remove_extra_whitespaces)
        if self.charsmap:
            writer.add_precompiled_charsmap(self.charsmap)


def parts(part: Any, key: str) -> list[dict[str, Any]]:  # noqa: ANN401 - a part of a JSON file
    """The steps of a normalizer, a pre-tokenizer or a decoder, in their order; `key` is what a Sequence has them by."""
    if not isinstance(part, dict):
        return []
    inner = part.get(key)
    return [part] if inner is None else [step for each in inner for step in parts(each, key)]


def pairs(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The merges of a BPE, the first to be done first. Of one that is there twice, the library takes the last."""
    ranks: dict[tuple[str, str], int] = {}
    for rank, merge in enumerate(model.get("merges") or ()):
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        ranks[left, right] = rank
    return sorted(ranks, key=ranks.__getitem__)
