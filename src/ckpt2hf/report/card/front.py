"""The front matter of a model card: what the Hub reads, as YAML between two lines of dashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from ckpt2hf.checkpoints.yaml_text import parsed
from ckpt2hf.report.card.words import CardWords, words_in

if TYPE_CHECKING:
    from collections.abc import Iterable

_BLOCK = re.compile(r"---\r?\n(.*?\n)?---[ \t]*(?:\r?\n|\Z)", re.DOTALL)
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_NO_FOLDS = 1 << 30
"""Columns of a line: folded text could begin a line with the dashes that end the block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """That a directory holds a model in another form, made from one on the Hub."""

    base_model: str
    """`owner/name` of that one."""
    library: str
    """What loads this form."""
    relation: str = "quantized"

    def __post_init__(self) -> None:
        """The Hub takes no other names. Raises ValueError."""
        if not _REPOSITORY.fullmatch(self.base_model):
            raise ValueError(f"a repository of the Hub is called owner/name, not {self.base_model!r}")


def front_matter(words: CardWords, tags: Iterable[str], derived: Derived | None = None) -> str:
    """The block, its last line ended. What nobody has said is not in it."""
    known = words.license
    entries: dict[str, Any] = {
        "license": known.id if known else None,
        "license_name": known.name if known else None,
        "license_link": known.link if known else None,
        "language": list(words.languages) if words.languages else None,
        "library_name": derived.library if derived else "transformers",
        "pipeline_tag": "text-generation",
        "model_name": words.model_name,
        "base_model": derived.base_model if derived else None,
        "base_model_relation": derived.relation if derived else None,
        "tags": list(dict.fromkeys(tags)),
    }
    said = {key: value for key, value in entries.items() if value is not None}
    return f"---\n{yaml.safe_dump(said, sort_keys=False, allow_unicode=True, width=_NO_FOLDS)}---\n"


def words_of_card(text: str) -> CardWords:
    """What a card's front matter says, ours or one that a person has edited. Raises ValueError."""
    block = _BLOCK.match(text.removeprefix("\ufeff"))
    if block is None:
        return CardWords()
    front = parsed(block[1] or "")
    if front is not None and not isinstance(front, dict):
        raise ValueError("the front matter is no list of names and values")
    return words_in({str(key): value for key, value in (front or {}).items()})
