"""The two streams: data goes to stdout, talk to stderr. Long lines are wrapped under their column on a terminal."""

from __future__ import annotations

import json
import os
import re
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from ckpt2hf.cli.remedies import folded, whole_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ckpt2hf.errors import Ckpt2hfError


class _Stream(Console):
    """A console that falls silent when its reader goes away, as `head` does: the work is done all the same."""

    def on_broken_pipe(self) -> None:
        """Let everything that follows go nowhere."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


OUT = _Stream(highlight=False, soft_wrap=True)
ERR = _Stream(stderr=True, highlight=False, soft_wrap=True)

_LABEL = 10
"""Width of the labels left of the text."""
_ERROR_LABEL = 9
"""The same below an error."""
_GAP = re.compile(r" {2,}")


def show_json(value: Any) -> None:  # noqa: ANN401 - any JSON tree
    """One JSON document on stdout."""
    write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write(text: str) -> bool:
    """This text on stdout, as it is and at once; false where nobody reads it any more."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        OUT.on_broken_pipe()
    return not OUT.quiet


def rows(pairs: Iterable[tuple[str, str, str]], stream: Console = OUT) -> None:
    """Lines of label and text; the third part is a style for the text. An empty label continues the last."""
    for label, text, style in pairs:
        _labelled(stream, f"{label:{_LABEL}}", "cyan", wrapped(text, room(stream)), style)


def show_error(error: Ckpt2hfError, command: Sequence[str] = ()) -> None:
    """The parts of an error, on stderr; `command` are the words that led to it, so that remedies can repeat them."""
    head = f"error[{error.code}]: "
    what, *more = wrapped(error.what, room(ERR, len(head)))
    ERR.print(Text.assemble((head, "bold red"), (what, "bold")))
    for line in more:
        ERR.print(Text(f"  {line}", "bold"))
    for detail in error.details:
        for line in [detail] if error.code == "bug" else wrapped(f"  {detail}", room(ERR, 0)):
            ERR.print(Text(line if error.code != "bug" else f"  {line}"))
    for label, text in (("in", error.where), ("tried", error.tried)):
        if text:
            _labelled(ERR, f"  {label:7}", "cyan", wrapped(text, room(ERR, _ERROR_LABEL)), "")
    told = whole_commands(error.remedies, command, replaceable_only=error.code == "usage")
    for k, (remedy, comment) in enumerate(told):
        _labelled(ERR, "  next   " if k == 0 else "    or   ", "cyan", folded(remedy, room(ERR, _ERROR_LABEL)), "")
        if comment:
            _labelled(ERR, " " * _ERROR_LABEL, "", wrapped(comment, room(ERR, _ERROR_LABEL)), "dim")


def wrapped(text: str, width: int | None) -> list[str]:
    """The text in lines of at most `width` characters, later ones under the last column of the first.

    Two spaces or more separate columns. A word longer than the line stays whole: it is a path or a flag.
    """
    if width is None or len(text) <= width:
        return text.splitlines() or [""]
    columns = [gap.end() for gap in _GAP.finditer(text) if gap.end() <= width * 2 // 3]
    hang = " " * (columns[-1] if columns else 0)
    return textwrap.wrap(
        text, width, subsequent_indent=hang, break_long_words=False, break_on_hyphens=False, replace_whitespace=False
    )


def _labelled(stream: Console, label: str, colour: str, lines: Sequence[str], style: str) -> None:
    for k, line in enumerate(lines or [""]):
        shown = Text.assemble((label if k == 0 else " " * len(label), colour), (line, style))
        shown.rstrip()
        stream.print(shown)


def room(stream: Console = OUT, taken: int = _LABEL) -> int | None:
    """Columns that are left for text on a terminal; None elsewhere, where a line is a line."""
    return max(stream.width - taken, 40) if stream.is_terminal else None
