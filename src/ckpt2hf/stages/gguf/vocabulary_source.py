"""The tokenizer of a converted directory, as its files say it: tokenizer.json and the settings beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers import CONFIG, ROLES, TOKENIZER
from ckpt2hf.tokenizers.sentencepiece_pieces import Inexpressible
from ckpt2hf.tokenizers.tokenizer_json import parsed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_OTHERS = ("tokenizer.model", "vocab.json", "vocab.txt")
"""What lies in a directory whose tokenizer is none of the tokenizers library."""
_SPECIALS = "special_tokens_map.json"


@dataclass(frozen=True, slots=True)
class Added:
    """A token that is looked for in a text before anything else is done with it."""

    id: int
    content: str
    special: bool
    strips: bool = False
    """Whether it takes white space beside it, or is found as a whole word only."""
    normalized: bool = False
    """Whether it is looked for in the text as the normalizer leaves it."""


@dataclass(frozen=True)
class Source:
    """The tables in the files."""

    table: Mapping[str, Any]
    """tokenizer.json."""
    config: Mapping[str, Any]
    """tokenizer_config.json, and of special_tokens_map.json what it does not have."""

    @property
    def model(self) -> Mapping[str, Any]:
        """The part that looks up or merges."""
        model: Mapping[str, Any] = self.table["model"]
        return model

    @property
    def specials_in_text(self) -> bool:
        """Whether the text `</s>` is the special token of that name."""
        return not self.config.get("split_special_tokens", False)

    @cached_property
    def own(self) -> dict[str, int]:
        """The tokens of the model and their ids, without those that are only added."""
        vocabulary = self.model["vocab"]
        if isinstance(vocabulary, list):
            return {token: number for number, (token, _) in enumerate(vocabulary)}
        return dict(vocabulary)

    @cached_property
    def added(self) -> tuple[Added, ...]:
        """The added tokens, with those that the settings give a role: transformers adds them when it loads."""
        found = {
            row["content"]: Added(
                row["id"],
                row["content"],
                bool(row.get("special")),
                any(row.get(key) for key in ("lstrip", "rstrip", "single_word")),
                bool(row.get("normalized")),
            )
            for row in self.table.get("added_tokens") or ()
        }
        for role, token in self.roles.items():
            if token in found:
                found[token] = replace(found[token], special=True)
            elif token in self.own:
                found[token] = Added(self.own[token], token, special=True)
            else:
                raise Inexpressible(f"its {role} token {token!r} is none of its tokens")
        return tuple(sorted(found.values(), key=lambda each: each.id))

    @cached_property
    def roles(self) -> dict[str, str]:
        """The token of each role that there is one for."""
        named = {}
        for role in ROLES:
            token = self.config.get(f"{role}_token")
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                named[role] = token
        return named

    @cached_property
    def ids(self) -> dict[str, int]:
        """Every token and its id."""
        return {**self.own, **{each.content: each.id for each in self.added}}

    @cached_property
    def around(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids that are put before a text and after it. Raises Inexpressible."""
        return _around(self.table.get("post_processor"))


def read(directory: Path) -> Source | None:
    """The tokenizer of a directory; None where there is none. Raises TokenizerError."""
    path = directory / TOKENIZER
    if not path.is_file():
        other = next((name for name in _OTHERS if (directory / name).is_file()), None)
        if other is None:
            return None
        raise TokenizerError(
            f"the directory has {other} and no {TOKENIZER}",
            where=str(directory),
            tried=TOKENIZER,
            remedies=["convert again with --tokenizer FILE", "--gguf-tokenizer none   writes token ids only"],
        )
    table, config, specials = (_read(directory / name) for name in (TOKENIZER, CONFIG, _SPECIALS))
    # The library says whether it is whole, so that nothing below has to ask for a part before it looks at it.
    parsed(path, path.read_text(encoding="utf-8"))
    return Source(table, {**specials, **config})


def _read(path: Path) -> dict[str, Any]:
    """The table in a file; an empty one where there is none. Raises TokenizerError."""
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TokenizerError(f"{path.name} cannot be read: {error}", where=str(path)) from error
    if not isinstance(table, dict):
        raise TokenizerError(f"{path.name} is no table", where=str(path))
    return table


def _around(processor: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:  # noqa: ANN401 - a part of a JSON file
    """What a post-processor puts before a text and after it. Raises Inexpressible."""
    kind = processor.get("type") if isinstance(processor, dict) else None
    if kind in (None, "ByteLevel"):
        return (), ()
    if kind in ("RobertaProcessing", "BertProcessing"):
        return (processor["cls"][1],), (processor["sep"][1],)
    if kind == "Sequence":
        before: tuple[int, ...] = ()
        after: tuple[int, ...] = ()
        for part in processor["processors"]:
            outer = _around(part)
            before, after = (*outer[0], *before), (*after, *outer[1])
        return before, after
    if kind == "TemplateProcessing":
        sides: tuple[list[int], list[int]] = ([], [])
        texts = 0
        for item in processor["single"]:
            if "SpecialToken" in item:
                sides[min(texts, 1)].extend(processor["special_tokens"][item["SpecialToken"]["id"]]["ids"])
            else:
                texts += 1
        if texts == 1:
            return tuple(sides[0]), tuple(sides[1])
    raise Inexpressible(f"llama.cpp has nothing like its post-processor {kind}")
