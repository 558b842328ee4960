"""A regex of Rust, which tiktoken takes, for Oniguruma, which the tokenizers library takes.

The two agree on classes of characters, lookarounds and possessive `?+`, `*+`, `++` (compared over all of Unicode). They
differ in three places: `{1,3}+` is not possessive in Oniguruma, `^` and `$` stand for the ends of lines there, and
inline flags have other meanings, except `i`.
"""

from __future__ import annotations

import re

_COUNT = re.compile(r"\{\d+(?:,\d*)?\}")
_GROUP = re.compile(r"\?(?:<?[=!]|[:>]|i:|P?<\w+>)?")
_ESCAPE = re.compile(r"\\(?:[pP]\{\^?\w+\}|x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)


def translated(pattern: str) -> str:
    """The regex for Oniguruma. Raises ValueError for one that is not balanced or has inline flags."""
    out: list[str] = []
    opened: list[int] = []
    atom = 0
    at = 0
    while at < len(pattern):
        start, piece = at, _piece(pattern, at)
        at += len(piece)
        if piece[0] == "{" and len(piece) > 1:
            if pattern[at : at + 1] == "+":
                at += 1
                out[atom:] = ["(?>", *out[atom:], piece, ")"]
            else:
                out.append(piece)
            continue
        if piece[0] == "(":
            _require_known(piece, pattern, start)
            opened.append(len(out))
        elif piece == ")":
            if not opened:
                raise ValueError(f"a bracket is closed at {start} that was not opened")
            atom = opened.pop()
        elif piece not in "?*+|":
            atom = len(out)
        out.append({"^": r"\A", "$": r"\z"}.get(piece, piece))
    if opened:
        raise ValueError("a bracket is not closed")
    return "".join(out)


def _piece(pattern: str, at: int) -> str:
    """The next thing in a regex: an escape, a class, the beginning of a group, a count, or one character."""
    if pattern[at] == "[":
        return _class(pattern, at)
    kinds = {"\\": _ESCAPE, "{": _COUNT}
    if pattern[at] == "(":
        inner = _GROUP.match(pattern, at + 1)
        return "(" + (inner.group() if inner else "")
    if pattern[at] in kinds and (found := kinds[pattern[at]].match(pattern, at)):
        return found.group()
    return pattern[at]


def _class(pattern: str, start: int) -> str:
    """A class of characters, with those in it. Raises ValueError where it does not end."""
    depth, at = 0, start
    while at < len(pattern):
        if pattern[at] == "\\" and (escape := _ESCAPE.match(pattern, at)):
            at = escape.end()
            continue
        depth += {"[": 1, "]": -1}.get(pattern[at], 0)
        at += 1
        if not depth:
            return pattern[start:at]
    raise ValueError("a class of characters is not closed")


def _require_known(piece: str, pattern: str, start: int) -> None:
    """Raises ValueError for a group that begins as none that both know."""
    if piece == "(?":
        raise ValueError(f"it has inline flags that mean something else elsewhere: {pattern[start : start + 6]!r}")
