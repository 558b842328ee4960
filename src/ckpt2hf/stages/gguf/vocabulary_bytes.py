"""Byte-level BPE, and tables of characters said as one, for llama.cpp's model `gpt2`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ckpt2hf.stages.gguf import pre_tokenizers
from ckpt2hf.stages.gguf.vocabulary_table import Draft, pairs, parts
from ckpt2hf.tokenizers.byte_level import letters, shown_wrong, written
from ckpt2hf.tokenizers.sentencepiece_pieces import Inexpressible, Kind
from ckpt2hf.tokenizers.word_split import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ckpt2hf.stages.gguf.vocabulary_source import Source

MODEL = "gpt2"
_NOWHERE = (*range(0xC0, 0xC2), *range(0xF5, 0x100))
"""Bytes that no text in UTF-8 has."""
_NEVER = f"{letters()[0xC0]} {letters()[0xC0]}"
"""A merge that no text has. llama.cpp needs one at least, and an empty list is not written."""
_RARE = "\x7f" + "".join(map(chr, (*range(1, 9), *range(14, 32)))) + "`^~|\\@#$%&*_{}[]<>+=/"
"""Characters that text has the least of, in the order in which one is taken to end it where nothing else can."""
UNICODE = "characters that came with Unicode 16.0 or later can be split in another way by llama.cpp"
"""The library's regexes know Unicode 15.1, llama.cpp's tables 16.0; a test goes through every character."""


def fits(source: Source) -> bool:
    """Whether a BPE merges the letters of bytes."""
    return any(part.get("type") == "ByteLevel" for part in parts(source.table.get("pre_tokenizer"), "pretokenizers"))


def other_split(source: Source) -> str:
    """Why a BPE that merges characters cannot be expressed."""
    steps = parts(source.table.get("pre_tokenizer"), "pretokenizers")
    if not steps:
        return "it merges characters and not bytes, and has neither a pre-tokenizer nor byte tokens"
    words = [step.get("pattern") == {"Regex": WORDS} for step in steps]
    named = [
        "Whitespace (written as its regex)" if is_word else step["type"]
        for is_word, step in zip(words, steps, strict=True)
    ]
    return (
        f"its pre-tokenizer is {', '.join(named)}: it merges characters, and those that are not in its vocabulary are "
        "unknown; llama.cpp merges bytes, and loses none, not even white space"
    )


def byte_level(source: Source) -> Draft:
    """Byte-level BPE. Raises Inexpressible."""
    _require_no_normalizer(source)
    model = source.model
    for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise Inexpressible(f"its model has {key} {model[key]!r}, and llama.cpp has not")
    absent, unknown = sorted(without_token(source)), model.get("unk_token")
    if absent and unknown is not None:
        raise Inexpressible(
            f"{_counted(absent)}: in a text such a byte is {unknown!r}, and llama.cpp, which has no unknown token for "
            "bytes, leaves it out"
        )
    kinds = {part.get("type") for part in parts(source.table.get("decoder"), "decoders")}
    if kinds - {"ByteLevel"}:
        raise Inexpressible(f"its decoder is {', '.join(sorted(map(str, kinds)))}, and llama.cpp's is ByteLevel")
    notes = [UNICODE]
    if absent:
        notes.append(
            f"{_counted(absent)}: transformers and llama.cpp leave such a byte out of a text, but only transformers "
            "then merges what stood beside it"
        )
    if not kinds:
        notes.append("it has no decoder: transformers shows the letters of bytes, and llama.cpp the text")
    if pre_tokenizers.folds(source.table["pre_tokenizer"]):
        notes.append(f"{pre_tokenizers.LONG_S} is 's for transformers, and not for llama.cpp")
    texts, types = _tokens(source)
    return Draft(
        model=MODEL,
        pre=_name(source),
        texts=texts,
        kinds=types,
        merges=_merges(model) or (_NEVER,),
        harmless=tuple(source.own[letters()[byte]] for byte in reversed(_NOWHERE) if letters()[byte] in source.own),
        notes=tuple(notes),
    )


def without_token(source: Source) -> set[int]:
    """Bytes of UTF-8 that a byte-level BPE has no token for: no text that it was trained on had one."""
    if not fits(source):
        return set()
    return {byte for byte in range(256) if byte not in _NOWHERE and letters()[byte] not in source.own}


def _counted(absent: Sequence[int]) -> str:
    return f"{len(absent)} of the 256 bytes {'have' if len(absent) > 1 else 'has'} no token, such as 0x{absent[0]:02x}"


def _require_no_normalizer(source: Source) -> None:
    named = ", ".join(str(part.get("type")) for part in parts(source.table.get("normalizer"), "normalizers"))
    if named:
        raise Inexpressible(f"its normalizer ({named}) changes a text before it is split; llama.cpp changes none")


def _tokens(source: Source) -> tuple[dict[int, str], dict[int, Kind]]:
    """How llama.cpp writes each token, and of what kind it is. Raises Inexpressible."""
    known = set(letters())
    texts = {number: token for token, number in source.own.items()}
    types = {number: Kind.NORMAL if known.issuperset(token) else Kind.UNUSED for token, number in source.own.items()}
    for each in source.added:
        if shown_wrong(each.content):
            raise Inexpressible(
                f"the letters of its token {each.content!r} are what other bytes are written with: transformers shows "
                "another text for it, and llama.cpp this one"
            )
        texts[each.id] = each.content
        types[each.id] = Kind.CONTROL if each.special else Kind.USER_DEFINED
    return texts, types


def _merges(model: Mapping[str, Any]) -> tuple[str, ...]:
    """The merges as llama.cpp reads them. Raises Inexpressible for one with a space."""
    given = pairs(model)
    spaced = next((pair for pair in given if " " in "".join(pair)), None)
    if spaced is not None:
        raise Inexpressible(f"its merge {spaced!r} has a space, which no byte is written with")
    return tuple(f"{left} {right}" for left, right in given)


def _name(source: Source) -> str:
    """What llama.cpp calls the split. Raises Inexpressible.

    A name also says whether a part that is a token is taken without merging. That makes no difference where merging the
    bytes of a token always gives that token.
    """
    found = pre_tokenizers.named(source.table["pre_tokenizer"])
    whole = bool(source.model.get("ignore_merges"))
    alike = next((each for each in found if each.whole is whole), None)
    if alike is not None:
        return alike.name
    if (apart := _apart(source)) is not None:
        how = "takes a part that is a token as it is" if whole else "always merges"
        raise Inexpressible(
            f"merging the bytes of its token {apart!r} does not give that token, and it {how} (ignore_merges), which "
            f"llama.cpp does not with {found[0].name}"
        )
    return found[0].name


def _apart(source: Source) -> str | None:
    """The first token that merging its bytes does not give."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - only where it makes a difference

    merging: Any = Tokenizer.from_str(json.dumps({**source.table, "model": {**source.model, "ignore_merges": False}}))
    added = {each.content for each in source.added}
    known = set(letters())
    tokens = (token for token in source.own if token not in added and known.issuperset(token))
    return next((token for token in tokens if [each.value for each in merging.model.tokenize(token)] != [token]), None)


def single(source: Source) -> bool:
    """Whether a text is looked up character by character."""
    pre = source.table.get("pre_tokenizer")
    return (
        isinstance(pre, dict)
        and pre.get("type") == "Split"
        and pre.get("pattern") == {"Regex": r"[\s\S]"}
        and str(pre.get("behavior")).lower() == "isolated"
    )


def characters(source: Source) -> Draft:
    """A table of characters, said as a byte-level BPE that merges the bytes of each character and nothing else.

    In UTF-8 the first byte of a character is none of the others, so that no merge goes across two of them. Raises
    Inexpressible.
    """
    _require_no_normalizer(source)
    unknown = source.model.get("unk_token")
    if unknown in source.own:
        raise Inexpressible(
            f"a character that is not in its table is {unknown!r}, and llama.cpp leaves such a character out"
        )
    found = source.added if source.specials_in_text else tuple(each for each in source.added if len(each.content) > 1)
    texts, types = {}, {}
    for token, number in source.own.items():
        texts[number] = written(token.encode()) if len(token) == 1 else token
        types[number] = Kind.NORMAL if len(token) == 1 else Kind.UNUSED
    for each in found:
        texts[each.id] = each.content
        types[each.id] = Kind.CONTROL if each.special else Kind.USER_DEFINED
    return Draft(
        model=MODEL,
        pre="gpt-2",
        texts=texts,
        kinds=types,
        merges=tuple(_joined(token for token in source.own if len(token) == 1)) or (_NEVER,),
        harmless=_least(source.own),
        notes=("a character that is not in its table is an error in transformers, and left out by llama.cpp",),
    )


def _joined(alphabet: Iterable[str]) -> list[str]:
    """The merges that put the bytes of each character together."""
    found: dict[str, None] = {}
    for character in alphabet:
        word = written(character.encode())
        found.update((f"{word[:end]} {word[end]}", None) for end in range(1, len(word)))
    return list(found)


def _least(own: Mapping[str, int]) -> tuple[int, ...]:
    """The tokens of a table of characters that may end a text, those that text has the least of first."""
    return (*(own[character] for character in _RARE if character in own), max(own.values()))
