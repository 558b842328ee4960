"""What a model wrote, for people and as data."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import typer

from ckpt2hf.cli.console import ERR, write

if TYPE_CHECKING:
    from ckpt2hf.api import Spoken
    from ckpt2hf.run.generate import Prompt

_KEPT = frozenset("\n\t")


def say(text: str) -> None:
    """This text on stdout as it comes; ends the command where nobody reads it any more.

    A model can write anything, so a terminal is not given what would command it; a file or a pipe gets every byte.
    """
    safe = "".join(map(_harmless, text)) if sys.stdout.isatty() else text
    if not write(safe):
        raise typer.Exit


def show_note(prompt: Prompt) -> None:
    """What a person should know about how a prompt was read."""
    if prompt.note:
        ERR.print(f"ckpt2hf: {prompt.note}", markup=False)


def show_stop(spoken: Spoken, context: int) -> None:
    """Why a text ends there, on stderr."""
    reasons = {
        "end": "the model ended the text",
        "length": "as many as --max-new-tokens allows",
        "context": f"the context of {context} tokens is full",
    }
    count = len(spoken.ids)
    ERR.print(f"ckpt2hf: {count} token{'s' * (count != 1)}, {reasons[spoken.stop.value]}", markup=False, style="dim")


def spoken_json(spoken: Spoken) -> dict[str, Any]:
    """One prompt and what followed, as data."""
    return {
        "prompt": spoken.prompt,
        "text": spoken.text,
        "prompt_ids": list(spoken.prompt_ids),
        "ids": list(spoken.ids),
        "stopped": spoken.stop.value,
    }


def _harmless(character: str) -> str:
    """The character, or a mark in place of one that controls a terminal."""
    controls = unicodedata.category(character) == "Cc" and character not in _KEPT
    return "\N{REPLACEMENT CHARACTER}" if controls else character
