"""From the flags an error suggests to commands that can be pasted whole."""

from __future__ import annotations

import re
import shlex
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_ONCE = frozenset(
    {"--dialect", "--weights-key", "--reference", "--dtype", "--formats", "--max-shard-size", "--verify", "--level"}
    | {"--sample", "--sample-dtype", "--python-5x", "--allow", "--draft"}
    | {"--tokenizer", "--tokenizer-policy", "--tokenizer-pattern"}
    | {"--to-dialect", "--to-layout", "--eos-token", "--bos-token", "--pad-token", "--unk-token"}
    | {"--text", "--tokens", "--tokens-dtype", "--context", "--stride", "--max-tokens"}
    | {"--to", "--gguf-tokenizer", "--imatrix", "--calibration", "--calibration-dtype", "--cpu"}
    | {"--temperature", "--top-k", "--top-p", "--max-new-tokens"}
)
"""Options that are given at most once: a new value takes the place of the old one."""
_SWITCHES = frozenset({"--force", "--allow-nonfinite"})
_COMMENT = re.compile(r" {2,}(.*)$")
_ALTERNATIVE = re.compile(r"\|(?=--)")
_OPTION = re.compile(r"\s+(?=--)")


def whole_commands(
    remedies: Iterable[str], command: Sequence[str], *, replaceable_only: bool
) -> Iterator[tuple[str, str]]:
    """Each remedy as a command, or as the sentence it is, and the comment that followed it.

    A remedy that begins with an option is added to `command`; one with alternatives (`--a 1|--a 2`) becomes several.
    With `replaceable_only`, options that would stand beside a wrong one instead of replacing it are left alone.
    """
    for remedy in remedies:
        comment = _COMMENT.search(remedy)
        text = remedy[: comment.start()] if comment else remedy
        option = text.partition(" ")[0]
        if not command or not text.startswith("--") or (replaceable_only and option not in _ONCE | _SWITCHES):
            yield text, comment[1] if comment else ""
            continue
        for parts in product(*(_ALTERNATIVE.split(part) for part in _OPTION.split(text))):
            words = list(command)
            for part in parts:
                words = _with(words, shlex.split(part))
            yield shlex.join(["ckpt2hf", *words]), comment[1] if comment else ""


def folded(command: str, width: int | None) -> list[str]:
    """A command in lines of at most `width` characters that a shell reads as one; a sentence at its spaces."""
    if width is None or len(command) <= width:
        return [command]
    end, hang = (" \\", "    ") if command.startswith("ckpt2hf ") else ("", "")
    lines = [""]
    for part in _options(command) if end else command.split():
        longer = f"{lines[-1]} {part}" if lines[-1] else part
        if len(longer) + len(end) > width and lines[-1]:
            lines.append(hang + part)
        else:
            lines[-1] = longer
    return [line + end for line in lines[:-1]] + lines[-1:]


def _options(command: str) -> Iterator[str]:
    """The words of a command, each option together with its value."""
    held: list[str] = []
    for word in shlex.split(command):
        if word.startswith("-") and held:
            yield shlex.join(held)
            held = []
        held.append(word)
    yield shlex.join(held)


def _with(command: Sequence[str], added: Sequence[str]) -> list[str]:
    """The command with one more option, in place of what it contradicts."""
    option, *values = added
    if option == "--verify" and command[0] == "verify":
        option = "--level"
    field = values[0].partition("=")[0] + "=" if option == "--set" and values else None
    kept: list[str] = []
    words = iter(command)
    for word in words:
        name, equals, value = word.partition("=")
        if name != option or (field is None and option not in _ONCE | _SWITCHES):
            kept.append(word)
        elif option not in _SWITCHES:
            old = value if equals else next(words, "")
            if field is not None and not old.startswith(field):
                kept += [option, old]
    return [*kept, option, *values]
