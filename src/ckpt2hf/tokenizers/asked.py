"""What the user says about the tokenizer."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.errors import UsageError
from ckpt2hf.tokenizers.fit import NONE
from ckpt2hf.tokenizers.format import Hints

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Policy(enum.Enum):
    """What becomes of a model whose tokenizer could not be proved."""

    FAIL = "fail"
    """It is not left behind."""
    WARN = "warn"
    """It is; the report says what differs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTokenizer:
    """One value for each word, or nothing."""

    path: Path | None = None
    """A file or a directory; `none` for no tokenizer at all, None for the one beside the checkpoint."""
    tokens: Mapping[str, str] = field(default_factory=dict)
    """Role -> token, or `none` for a role that no token has."""
    pattern: str | None = None
    special_tokens: Mapping[str, int] = field(default_factory=dict)
    policy: Policy | None = None

    def over(self, other: AskedTokenizer) -> AskedTokenizer:
        """Both; where they speak of the same word, this one counts. No other word is about no tokenizer."""
        if self.is_off:
            return self
        return AskedTokenizer(
            path=self.path if self.path is not None else other.path,
            tokens={**other.tokens, **self.tokens},
            pattern=self.pattern or other.pattern,
            special_tokens={**other.special_tokens, **self.special_tokens},
            policy=self.policy or other.policy,
        )

    @property
    def is_off(self) -> bool:
        """Whether there shall be no tokenizer."""
        return self.path is not None and str(self.path) == NONE

    @property
    def file(self) -> Path | None:
        """The file or directory that is named, if one is."""
        return None if self.is_off else self.path

    @property
    def hints(self) -> Hints:
        """What its file does not hold."""
        return Hints(pattern=self.pattern, special_tokens=self.special_tokens or None)

    @property
    def roles(self) -> dict[str, str | None]:
        """Role -> token; None for a role that no token has."""
        return {role: None if token == NONE else token for role, token in self.tokens.items()}


def special_tokens(pairs: tuple[str, ...]) -> dict[str, int]:
    """The ids of `TOKEN=ID`; a token may hold `=`. Raises UsageError."""
    found = {}
    for pair in pairs:
        token, equals, number = pair.rpartition("=")
        if not equals or not token or not number.isdecimal():
            raise UsageError(
                f"--special-token does not know {pair!r}", remedies=["--special-token '<|endoftext|>=50256'"]
            )
        found[token] = int(number)
    return found
