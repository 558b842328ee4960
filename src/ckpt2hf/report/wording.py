"""How names, sizes and times are put into words for people, wherever they are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ckpt2hf.report.report import LeftOutReport

_STEP = 1000
"""The ratio of two neighbouring units."""
_FEW = 10
"""Seconds below which tenths are worth reading."""
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Control characters, and those that are invisible or turn the text around them: a name could pass for another one.
_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
_DIGITS = re.compile(r"(\d{1,18})")
EXACTNESS = {
    "bitwise": "numbers were only moved; moving them back gives every bit of the source",
    "algebraic": "an identity was applied; equal in real arithmetic, rounded once",
    "numerically equal": "not exact: a final norm became a block of its own; logits agree to 2e-5 of their spread",
    "rounded": "every weight rounded to {dtype}, as asked",
}
"""What each degree of exactness means, for people."""
_BYTES = "The written weights, led back through the conversion, are those of the checkpoint"
_LOGITS = "the class computes the logits of a second, independent implementation of the trained model"
_FOLLOWS = (
    "That the class computes the same function follows from the facts below, if they are right; it was not measured"
)
_FORM = "Names, shapes, number types and settings are as planned"
_NEITHER = "Neither the weights nor the logits were compared with the checkpoint"
LEVELS = {
    "logits": ("It was proved to compute the same function", f"{_BYTES}, and {_LOGITS}."),
    "bytes": ("Its weights were proved, its logits were not compared", f"{_BYTES}. {_FOLLOWS}."),
    "structure": ("Only its form was checked", f"{_FORM}. {_NEITHER}."),
}
"""What each level of verification shows: in a line, and in sentences."""


def size(nbytes: float) -> str:
    """Bytes, in powers of 1000."""
    for unit in ("B", "kB", "MB"):
        if nbytes < _STEP:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= _STEP
    return f"{nbytes:.2f} GB"


def parameters(count: float) -> str:
    """Numbers in a model: `124 M`."""
    for unit in ("", " k", " M"):
        if count < _STEP:
            return f"{count:.0f}{unit}" if not unit or count >= _STEP / 10 else f"{count:.1f}{unit}"
        count /= _STEP
    return f"{count:.2f} B"


def duration(seconds: float) -> str:
    """A time span, in the two units that matter."""
    whole = round(seconds)
    if whole < _FEW:
        return f"{seconds:.1f} s"
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02} h"


def moment(iso: str) -> str:
    """A time of ours, which is UTC in ISO 8601."""
    return iso.replace("T", " ").replace("+00:00", " UTC")


def counted(number: int, thing: str) -> str:
    """`1 checkpoint`, `1,000 checkpoints`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def reasons_left_out(left_out: Iterable[LeftOutReport]) -> dict[str, int]:
    """Why tensors were not written, and how many for each reason; which twin a tied one has makes no difference."""
    reasons: dict[str, int] = {}
    for left in left_out:
        why = "second name of a tied tensor" if left.why.startswith(("shares", "equal")) else left.why
        reasons[why] = reasons.get(why, 0) + 1
    return reasons


def visible(text: str) -> str:
    r"""The text in one line, with what cannot be seen spelled out: `\n`, `\x1b`, `\u202e`."""
    return _HIDDEN.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode("ascii"), text)


def natural(text: str) -> tuple[tuple[str | int, ...], str]:
    """A sort key in which `run-9` comes before `run-10`; capitals decide only between names that are else the same."""
    parts = _DIGITS.split(text.casefold())
    return tuple(int(part) if k % 2 else part for k, part in enumerate(parts)), text
