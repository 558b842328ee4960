"""Byte-level BPE as the tokenizers library has it: each byte is written as a printable character."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def letters() -> tuple[str, ...]:
    """The character for each byte: itself where it is printable Latin-1, else one from U+0100 on, in order.

    Source: openai/gpt-2@9b63575 src/encoder.py `bytes_to_unicode`.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return tuple(chr(byte if byte in printable else next(others)) for byte in range(256))


def written(token: bytes) -> str:
    """The bytes of a token, a character each."""
    return "".join(letters()[byte] for byte in token)


def shown_wrong(special: str) -> bool:
    """Whether the library would take a special token's letters for bytes when it decodes, and give another text."""
    table = {letter: byte for byte, letter in enumerate(letters())}
    return all(character in table for character in special) and not special.isascii()


def tokenizer(
    vocabulary: Mapping[str, int],
    merges: list[tuple[str, str]],
    specials: list[str],
    pattern: str | None,
    *,
    whole: bool,
) -> Any:  # noqa: ANN401 - a class of a library that is imported here only
    """A `tokenizers.Tokenizer`.

    `pattern` is Oniguruma's; what it does not match is left out; None is GPT-2's, which the library has built in.
    `whole` is whether a part that is a token is taken as it is, without merging.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415

    made = Tokenizer(models.BPE(vocab=dict(vocabulary), merges=merges, ignore_merges=whole))
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    made.pre_tokenizer = (
        bytes_only
        if pattern is None
        else pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(pattern), behavior="removed", invert=True), bytes_only]
        )
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False) for token in specials])
    return made
