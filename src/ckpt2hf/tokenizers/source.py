"""A tokenizer as it was read: the encoder of the training run, and the same in the tokenizers library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROLES = ("bos", "eos", "pad", "unk")
"""What a special token can be for; `{role}_token` is its name in every file of transformers."""


class Unencodable(Exception):  # noqa: N818 - not a failure of ours: it is what this encoder does with such a text
    """The training run's encoder has no ids for a text, and says so: a character level one for a new character."""


class Original(Protocol):
    """The encoder the model was trained with: its own library, on its own file."""

    @property
    def library(self) -> str:
        """Its name and version, such as `sentencepiece 0.2.0`."""
        ...

    def encode(self, text: str) -> list[int]:
        """The ids of a text, nothing put before or after it. Raises Unencodable."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special tokens included as the library does by itself."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerSource:
    """A tokenizer read from its files."""

    format: str
    """In words, such as `SentencePiece unigram`."""
    files: tuple[Path, ...]
    """What it was read from, the file that names it first."""
    original: Original
    product: Any
    """The same as a `tokenizers.Tokenizer`: what is written as `tokenizer.json`."""
    named: Mapping[str, str] = field(default_factory=dict)
    """What its own files call the special tokens: role -> token. A token may be one that does not exist."""
    specials_in_text: bool
    """Whether the original takes the text `</s>` for the special token, rather than for four characters."""
    notes: tuple[str, ...] = ()
    """What a person should know: conventions that were followed because the files do not say."""

    @property
    def vocabulary(self) -> dict[str, int]:
        """Every token and its id, added ones included."""
        found: dict[str, int] = self.product.get_vocab(with_added_tokens=True)
        return found

    @property
    def special(self) -> tuple[str, ...]:
        """The tokens that are marked as special, in the order of their ids."""
        added = self.product.get_added_tokens_decoder()
        return tuple(added[number].content for number in sorted(added) if added[number].special)
