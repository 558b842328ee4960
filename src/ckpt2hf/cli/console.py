"""The two streams: data goes to stdout, talk to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.errors import Ckpt2hfError

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


def show_json(value: Any) -> None:  # noqa: ANN401 - any JSON tree
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def show_error(error: Ckpt2hfError) -> None:
    """The parts of an error, on stderr."""
    first, *rest = str(error).splitlines()
    head, _, what = first.partition(": ")
    ERR.print(Text.assemble((head, "bold red"), ": ", (what, "bold")))
    for line in rest:
        label = line[:9].strip()
        ERR.print(Text.assemble((line[:9], "cyan"), line[9:]) if label in {"in", "tried", "next", "or"} else Text(line))


def rows(pairs: Iterable[tuple[str, str, str]]) -> None:
    """Lines of label and text on stdout; the third part is a style for the text. An empty label continues the last."""
    for label, text, style in pairs:
        OUT.print(Text.assemble((f"{label:10}", "cyan"), (text, style)))


def size(nbytes: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if nbytes < 1000:  # noqa: PLR2004 - the unit's ratio
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1000
    return f"{nbytes:.2f} GB"
