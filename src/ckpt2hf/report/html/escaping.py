"""Text from anywhere made harmless inside a page: as HTML, as data in a script element, as a link."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from typing import Any
from urllib.parse import quote

from ckpt2hf.report.wording import visible

_IN_SCRIPT = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}
"""What could end a script element or begin a comment in it; in JSON these occur in strings only."""


def text(value: str) -> str:
    """One line of text as HTML, in element or attribute, with invisible characters spelled out."""
    return html.escape(visible(value))


def lines(value: str) -> str:
    """Text whose line breaks count, as HTML."""
    return "\n".join(text(line) for line in value.split("\n"))


def name(value: str) -> str:
    """A name as HTML: its direction of writing does not spread to its neighbours."""
    return f"<bdi>{text(value)}</bdi>"


def data(value: Any) -> str:  # noqa: ANN401 - any JSON tree
    """A JSON document for the inside of a script element, pure ASCII."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).translate(_IN_SCRIPT)


def link(path: str) -> str:
    """A file beside the page, as an address that can be nothing else."""
    return "./" + quote(os.fsencode(path))


def digest(inline: str) -> str:
    """What allows exactly this style sheet or script in a Content-Security-Policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"
