"""What the user says about a checkpoint: `--set heads=12`, or the same words in `ckpt2hf.toml`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ckpt2hf.dialects.fact import Fact, Origin
from ckpt2hf.errors import UsageError
from ckpt2hf.ir import FIELDS, parse_field

if TYPE_CHECKING:
    from collections.abc import Sequence

TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
"""Words of `--set` that are not part of the function."""


@dataclass(frozen=True, slots=True)
class Said:
    """The user's own facts."""

    facts: Mapping[str, Fact] = field(default_factory=dict)
    token_ids: Mapping[str, int] = field(default_factory=dict)


def said_on_command_line(pairs: Sequence[str]) -> Said:
    """The facts of `--set field=value`. Raises UsageError."""
    words: dict[str, object] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(f"--set takes field=value, not {pair!r}", remedies=["--set heads=12"])
        if name.strip() in words:
            raise UsageError(f"--set {name.strip()} is given twice")
        words[name.strip()] = value
    return _said(words, "--set {}", "the command line")


def said_in_file(settings: Mapping[str, object]) -> Said:
    """The facts of the table `[set]` of a `ckpt2hf.toml`. Raises UsageError."""
    table = settings.get("set", {})
    if not isinstance(table, Mapping):
        raise UsageError("`set` in ckpt2hf.toml must be a table", remedies=["[set]\nheads = 12"])
    return _said(table, "ckpt2hf.toml: {}", "ckpt2hf.toml")


def _said(words: Mapping[str, object], where: str, source: str) -> Said:
    facts, ids = {}, {}
    for name, value in words.items():
        try:
            if name in TOKEN_IDS:
                ids[name] = int(str(value))
            elif name in FIELDS:
                facts[name] = Fact(name, parse_field(name, value), Origin.USER, where.format(name))
            else:
                raise _unknown(name, source)
        except ValueError as error:
            raise UsageError(str(error), where=source) from error
    return Said(facts, ids)


def _unknown(name: str, source: str) -> UsageError:
    close = difflib.get_close_matches(name, [*FIELDS, *TOKEN_IDS], n=1)
    return UsageError(
        f"there is no fact called {name!r}",
        details=["facts: " + " ".join(FIELDS), "besides: " + " ".join(TOKEN_IDS)],
        where=source,
        remedies=[f"did you mean {close[0]}?"] if close else [],
    )


def merged(first: Said, second: Said) -> Said:
    """Both, the first before the second where they speak of the same field."""
    return Said({**second.facts, **first.facts}, {**second.token_ids, **first.token_ids})
