"""What every page of ours is framed in: a document that loads nothing, and runs and shows only what is in it."""

from __future__ import annotations

import functools
from importlib import resources
from string import Template

from ckpt2hf.report.html import escaping

MADE_BY_US = '<meta name="generator" content="ckpt2hf">'
"""What is in the head of each: a file without it is somebody else's."""


@functools.cache
def part(name: str) -> str:
    """The text of a file beside this module."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def framed(title: str, body: str, style: str, script: str = "") -> str:
    """The document around a body that is HTML already. Its policy allows this style, this script and nothing else."""
    sheet = f"{part('shared.css')}\n{style}"
    rules = ["default-src 'none'", "img-src data:", f"style-src {escaping.digest(sheet)}"]
    rules += [f"script-src {escaping.digest(script)}"] if script else []
    return Template(part("frame.html")).substitute(
        policy="; ".join([*rules, "base-uri 'none'", "form-action 'none'"]),
        made_by_us=MADE_BY_US,
        style=sheet,
        title=escaping.text(title),
        body=body,
        script=f"<script>{script}</script>\n" if script else "",
    )
