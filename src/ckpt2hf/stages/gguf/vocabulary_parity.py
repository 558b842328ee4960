"""The tokenizer in a GGUF file, as llama.cpp has it, against the one of the directory: the same ids, the same text."""

from __future__ import annotations

import ctypes
import random
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import llama_cpp

from ckpt2hf.errors import VerificationError
from ckpt2hf.stages.gguf.vocabulary_bytes import without_token
from ckpt2hf.stages.gguf.vocabulary_source import read
from ckpt2hf.tokenizers import CONFIG, PROBES, TOKENIZER
from ckpt2hf.verify import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.stages.gguf.vocabulary_source import Source
    from ckpt2hf.verify.verdict import Number

_SHOWN = 40
"""Characters of a text that are shown, and ids of a list."""
_OWN, _ORDERS = 2048, 16
"""Tokens of the tokenizer whose own text is looked at, at most, and in how many orders."""
_ROOM = 8
"""Ids beside those of the bytes of a text, at first."""


class LlamaVocabulary:
    """The vocabulary of a GGUF file in llama.cpp, without the weights."""

    def __init__(self, file: Path) -> None:
        """Load it. Raises VerificationError for a file that llama.cpp does not take."""
        llama_cpp.llama_log_set(_QUIET, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        params.vocab_only = True
        self._model: Any = llama_cpp.llama_model_load_from_file(str(file).encode(), params)
        if not self._model:
            raise VerificationError("llama.cpp does not load the vocabulary of the file", where=str(file))
        self._vocabulary: Any = llama_cpp.llama_model_get_vocab(self._model)

    def close(self) -> None:
        """Give its memory back."""
        llama_cpp.llama_model_free(self._model)

    @property
    def tokens(self) -> int:
        """How many there are."""
        return int(llama_cpp.llama_vocab_n_tokens(self._vocabulary))

    @property
    def merges_bytes(self) -> bool:
        """Whether it is of the kind that is called `gpt2` in a file."""
        kind = llama_cpp.llama_vocab_type(self._vocabulary)
        return bool(kind == llama_cpp.LLAMA_VOCAB_TYPE_BPE)

    def encode(self, text: str, *, around: bool, special: bool) -> list[int]:
        """The ids of a text; `around` with what is put beside it, `special` with special tokens found in it."""
        data = text.encode()
        room = len(data) + _ROOM
        while True:
            found = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(self._vocabulary, data, len(data), found, room, around, special)
            if count >= 0:
                return list(found[:count])
            room = -count

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included.

        Byte-level tokens are put together one by one, as programs do that write a text while it grows:
        `llama_detokenize` takes out spaces before punctuation, for most names of a split.
        """
        if self.merges_bytes:
            return b"".join(self._piece(number) for number in ids).decode(errors="replace")
        given = (llama_cpp.llama_token * len(ids))(*ids)
        room = 1 + 8 * len(ids)
        while True:
            text = ctypes.create_string_buffer(room)
            count = llama_cpp.llama_detokenize(self._vocabulary, given, len(ids), text, room, False, True)
            if count >= 0:
                return text.raw[:count].decode(errors="replace")
            room = -count

    def _piece(self, number: int) -> bytes:
        room = 32
        while True:
            text = ctypes.create_string_buffer(room)
            count = llama_cpp.llama_token_to_piece(self._vocabulary, number, text, room, 0, True)
            if count >= 0:
                return text.raw[:count]
            room = -count


def _say_nothing(_level: int, _text: bytes, _data: int) -> None:
    """Write none of llama.cpp's messages."""


_QUIET = llama_cpp.llama_log_callback(_say_nothing)
"""For llama.cpp to call; it must not be collected while llama.cpp may."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """One text, one way to read it: the ids of both sides, and the texts of these ids."""

    about: str
    text: str
    wanted: list[int]
    found: list[int]
    wanted_text: str | None
    """None where the two do not show the ids alike by design: special tokens among SentencePiece's pieces."""
    found_text: str


class _Directory:
    """The tokenizer as transformers loads it."""

    def __init__(self, directory: Path) -> None:
        from ckpt2hf.verify.huggingface import load_tokenizer  # noqa: PLC0415 - imports transformers

        self._library: Any = load_tokenizer(directory)
        backend = self._library.backend_tokenizer
        if backend.decoder is None:
            from tokenizers import decoders  # noqa: PLC0415

            # Without one, the letters of bytes are shown, which nobody wants to see again.
            backend.decoder = decoders.ByteLevel()

    def encode(self, text: str, *, around: bool) -> list[int] | None:
        """The ids of a text; None where it refuses the text."""
        try:
            ids: list[int] = self._library(text, add_special_tokens=around, verbose=False)["input_ids"]
        except Exception:  # noqa: BLE001 - tokenizers raises nothing narrower
            return None
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included."""
        text: str = self._library.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def tokenizer_checks(file: Path, directory: Path, texts: Mapping[str, str]) -> tuple[Check, ...]:
    """Whether llama.cpp reads and shows text as the directory's tokenizer does.

    `texts` are the user's own; the built-in ones are always looked at, and those that special tokens are in.
    """
    source = read(directory)
    if source is None:
        raise VerificationError(f"the directory has no {TOKENIZER}", where=str(directory), tried=CONFIG)
    try:
        vocabulary = LlamaVocabulary(file)
    except VerificationError as error:
        return (Check("gguf tokenizer loads", passed=False, summary=error.what),)
    try:
        library = _Directory(directory)
        all_texts = {**PROBES, **_specials(source), **_own(library, source), **texts}
        absent = without_token(source)
        if absent:
            all_texts = {about: _written_without(absent, source, text) for about, text in all_texts.items()}
        compared = _compared(vocabulary, library, source, all_texts)
        seen = [each for each in compared if each is not None]
        return (_loads(vocabulary), _encodes(seen, len(compared) - len(seen), len(absent)), _decodes(seen))
    finally:
        vocabulary.close()


def _specials(source: Source) -> dict[str, str]:
    """Texts with the added tokens of a tokenizer in them."""
    names = [each.content for each in source.added]
    return {
        "special tokens between words": "".join(f"one {name}two{name} three " for name in names),
        "special tokens alone": "".join(names),
        "special tokens and spaces": " ".join(f" {name} \n{name}\n {name[:-1]} " for name in names),
    }


def _own(directory: _Directory, source: Source) -> dict[str, str]:
    """Texts of the tokenizer's own tokens, in their order and in others.

    A small vocabulary gives most texts the same ids however they are split; not where one of its tokens ends in what
    another one could go on with.
    """
    special = {each.id for each in source.added} | {source.model.get("unk_id")}
    ids = sorted({*source.own.values()} - special)
    own = [directory.decode([number]) for number in ids[:: -(-len(ids) // _OWN) or 1]]
    found = {"its own tokens": "".join(own)}
    rng = random.Random(0)  # noqa: S311 - no secret
    for k in range(_ORDERS):
        rng.shuffle(own)
        found[f"its own tokens, mixed ({k + 1})"] = "".join(own)
    return found


def _written_without(absent: set[int], source: Source, text: str) -> str:
    """A text without the characters that have such bytes; special tokens, which are no bytes, stay."""
    names = sorted((each.content for each in source.added), key=len, reverse=True)
    found = re.split(f"({'|'.join(map(re.escape, names))})", text) if names else [text]
    kept = ("".join(each for each in part if absent.isdisjoint(each.encode())) for part in found[::2])
    return "".join(part for pair in zip_longest(kept, found[1::2], fillvalue="") for part in pair)


def _compared(
    vocabulary: LlamaVocabulary, directory: _Directory, source: Source, texts: Mapping[str, str]
) -> list[_Seen | None]:
    """Each text with and without what is put beside it; None for one that the directory's tokenizer refuses."""
    seen: list[_Seen | None] = []
    special = {each.id for each in source.added} | {source.model.get("unk_id")}
    for about, text in texts.items():
        for around in (False, True):
            wanted = directory.encode(text, around=around)
            if wanted is None:
                seen.append(None)
                continue
            found = vocabulary.encode(text, around=around, special=source.specials_in_text)
            shown = vocabulary.merges_bytes or not special.intersection(wanted)
            wanted_text = directory.decode(wanted) if shown else None
            seen.append(_Seen(about, text, wanted, found, wanted_text, vocabulary.decode(wanted)))
    return seen


def _loads(vocabulary: LlamaVocabulary) -> Check:
    """Always held where there is something to ask."""
    count = vocabulary.tokens
    return Check("gguf tokenizer loads", True, f"llama.cpp reads {count} tokens", {"tokens": count})


def _encodes(seen: Sequence[_Seen], refused: int, absent: int) -> Check:
    """Whether each text has the ids that the directory gives; some were left out, and of all of them some bytes."""
    wrong = [each for each in seen if each.found != each.wanted]
    count = sum(len(each.wanted) for each in seen)
    numbers: dict[str, Number] = {"texts": len(seen), "ids": count, "refused": refused, "different": len(wrong)}
    if absent:
        numbers["bytes_without_token"] = absent
    if not wrong:
        also = f"; the directory refuses {refused} more" if refused else ""
        without = f" without the {absent} bytes that have no token" if absent else ""
        said = f"{len(seen)} readings of texts{without} have transformers' {count} ids in llama.cpp{also}"
        return Check("gguf tokenizer encodes", bool(seen), said, numbers)
    first = wrong[0]
    at = next((k for k, (a, b) in enumerate(zip(first.found, first.wanted, strict=False)) if a != b), 0)
    said = (
        f"{len(wrong)} of {len(seen)} readings of texts differ; the first, {first.about}: {_brief(first.text)} is "
        f"{_listed(first.found, at)} in llama.cpp instead of {_listed(first.wanted, at)}"
    )
    return Check("gguf tokenizer encodes", False, said, {**numbers, "first": first.about})


def _decodes(seen: Sequence[_Seen]) -> Check:
    """Whether the ids of each text become the same text."""
    shown = [(each, each.wanted_text) for each in seen if each.wanted_text is not None]
    wrong = [(each, wanted) for each, wanted in shown if each.found_text != wanted]
    numbers: dict[str, Number] = {"texts": len(shown), "different": len(wrong)}
    if not wrong:
        said = f"the ids of {len(shown)} readings have transformers' text in llama.cpp"
        return Check("gguf tokenizer decodes", bool(shown), said, numbers)
    first, wanted = wrong[0]
    said = (
        f"{len(wrong)} of {len(shown)} readings of texts differ; the first, {first.about}: "
        f"{_brief(first.found_text)} in llama.cpp instead of {_brief(wanted)}"
    )
    return Check("gguf tokenizer decodes", False, said, {**numbers, "first": first.about})


def _brief(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _listed(ids: Sequence[int], at: int) -> str:
    """Ids around the place where two lists part."""
    start = max(0, at - _SHOWN // 4)
    shown = ", ".join(map(str, ids[start : start + _SHOWN]))
    return f"[{'…, ' if start else ''}{shown}{', …' if start + _SHOWN < len(ids) else ''}]"
