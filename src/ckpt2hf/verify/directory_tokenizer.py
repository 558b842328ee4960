"""The tokenizer in a converted directory, as transformers loads it, from this disk only. Imports no torch by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import TokenizerError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")
"""One of them lies in every directory that has a tokenizer."""
_SHOWN = 6
"""Characters that are listed before the rest is counted."""


class EncodedText:
    """The ids of a text, and where in it they end."""

    def __init__(self, encoding: Any) -> None:  # noqa: ANN401 - a class of transformers
        """Keep what transformers gave."""
        self._encoding = encoding
        self.ids: Sequence[int] = encoding["input_ids"]

    def end(self, k: int) -> int:
        """How many characters of the text the first `k + 1` ids stand for."""
        return next((int(span.end) for n in range(k, -1, -1) if (span := self._encoding.token_to_chars(n))), 0)


class DirectoryTokenizer:
    """Text to ids and back."""

    def __init__(self, directory: Path) -> None:
        """Load it. Raises TokenizerError."""
        from ckpt2hf.verify.huggingface import load_tokenizer  # noqa: PLC0415 - imports transformers, which takes seconds

        try:
            self._library: Any = load_tokenizer(directory)
        except Exception as error:  # transformers and tokenizers raise nothing narrower
            first = str(error).strip().splitlines()[:1]
            raise TokenizerError(
                "the tokenizer of the directory cannot be loaded",
                details=[f"{type(error).__name__}: {' '.join(first)}"],
                where=str(directory),
                remedies=["convert again with --tokenizer FILE"],
            ) from error
        if not self._library.is_fast:
            raise TokenizerError(
                "the tokenizer of the directory is none of the tokenizers library",
                where=str(directory),
                tried="tokenizer.json",
                remedies=["convert again with --tokenizer FILE"],
            )

    def encode_text(self, text: str) -> EncodedText:
        """A text, nothing put before or after it. Raises TokenizerError."""
        return EncodedText(self._encoding(text, special=False))

    def encode_prompt(self, text: str) -> list[int]:
        """The ids of a text that is to go on: with what this tokenizer puts before a text, without what ends one.

        An empty text is the token that begins one, if there is such a token. Raises TokenizerError.
        """
        plain, whole = self._encoded(text, special=False), self._encoded(text, special=True)
        if not plain:
            first = self._library.bos_token_id
            return [] if first is None else [int(first)]
        begin = next((k for k in range(len(whole)) if whole[k : k + len(plain)] == plain), 0)
        return [*whole[:begin], *plain]

    def decode(self, ids: Sequence[int], *, special: bool = True) -> str:
        """The text of ids, with or without special tokens."""
        text: str = self._library.decode(list(ids), skip_special_tokens=not special, clean_up_tokenization_spaces=False)
        return text

    def token(self, number: int) -> str:
        """The token of an id, as the vocabulary spells it."""
        return str(self._library.convert_ids_to_tokens(number))

    @property
    def unknown_id(self) -> int:
        """The id of the token that stands for what the tokenizer does not know; -1 where it has none."""
        # The settings beside tokenizer.json may not name it; its model knows it all the same.
        name = self._library.unk_token or getattr(self._library.backend_tokenizer.model, "unk_token", None)
        number = self._library.backend_tokenizer.token_to_id(name) if name else None
        return -1 if number is None else int(number)

    def unknown(self, text: str) -> tuple[list[str], list[str]]:
        """The characters of a text that are left out, and those that are read as the unknown token."""
        left_out, unknown = [], []
        for character in dict.fromkeys(text):
            ids = self._encoded(character, special=False)
            if self.unknown_id in ids:
                unknown.append(character)
            elif not ids and not character.isspace():
                left_out.append(character)
        return left_out, unknown

    def _encoded(self, text: str, *, special: bool) -> list[int]:
        ids: list[int] = self._encoding(text, special=special)["input_ids"]
        return ids

    def _encoding(self, text: str, *, special: bool) -> Any:  # noqa: ANN401 - a class of transformers
        try:
            return self._library(text, add_special_tokens=special, return_attention_mask=False, verbose=False)
        except Exception as error:  # tokenizers raises nothing narrower
            raise TokenizerError(
                f"the tokenizer of the directory has no token for {self._culprit(text)}",
                details=[str(error)],
                where=self._library.name_or_path,
                remedies=["text of the characters that the model was trained on"],
            ) from error

    def _culprit(self, text: str) -> str:
        """The first character that alone cannot be encoded."""
        for character in dict.fromkeys(text):
            try:
                self._library(character, add_special_tokens=False)
            except Exception:  # noqa: BLE001 - tokenizers raises nothing narrower
                return repr(character)
        return "a part of this text"


def directory_tokenizer(directory: Path) -> DirectoryTokenizer | None:
    """The tokenizer of a directory; None where none lies in it. Raises TokenizerError."""
    return DirectoryTokenizer(directory) if any((directory / name).is_file() for name in _FILES) else None


def listed(characters: Sequence[str]) -> str:
    """Some characters, the first few by name."""
    more = f" and {len(characters) - _SHOWN} more" if len(characters) > _SHOWN else ""
    return ", ".join(map(repr, characters[:_SHOWN])) + more


def added_bytes(tokenizer: DirectoryTokenizer, before: Sequence[int], ids: Sequence[int]) -> int:
    """The bytes of text that ids add after others. Special tokens have none.

    Taken as a difference, because a decoder may treat the first token of a text in its own way, and because a character
    can be cut by the edge between the two.
    """
    longer, shorter = (tokenizer.decode(part, special=False) for part in ([*before, *ids], before))
    return len(longer.encode()) - len(shorter.encode())
