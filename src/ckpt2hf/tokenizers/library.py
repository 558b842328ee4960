"""An encoder of the tokenizers library, as the training run used it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ckpt2hf.tokenizers.source import Unencodable

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class LibraryOriginal:
    """A `tokenizers.Tokenizer` read from the file of the training run, untouched."""

    tokenizer: Any

    @property
    def library(self) -> str:
        """Name and version."""
        return f"tokenizers {version('tokenizers')}"

    def encode(self, text: str) -> list[int]:
        """What `encode(text).ids` gives. Raises Unencodable."""
        try:
            ids: list[int] = self.tokenizer.encode(text).ids
        except Exception as error:  # tokenizers raises nothing narrower
            raise Unencodable(str(error)) from error
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """What `decode(ids)` gives, special tokens kept."""
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=False)
        return text
