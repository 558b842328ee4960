"""The opcodes of a pickle that push one constant: numbers, strings, bytes.

Source: python/cpython Lib/pickletools.py, protocols 0 to 5.
"""

from __future__ import annotations

import codecs
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from ckpt2hf.checkpoints.cursor import Cursor

MAX_LONG = 4096
"""Bytes of the longest integer believed: converting longer ones costs more than linear time."""
MAX_DIGITS = 4000


def _decimal(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError("an absurdly long integer")
    return int(text)


def _int_line(cursor: Cursor) -> int | bool:
    text = cursor.text()
    if text in {"00", "01"}:
        return text == "01"
    return _decimal(text)


def _long_line(cursor: Cursor) -> int:
    return _decimal(cursor.text().removesuffix("L"))


def _long(cursor: Cursor, layout: str) -> int:
    length = cursor.number(layout)
    if not 0 <= length <= MAX_LONG:
        raise ValueError(f"an integer of {length} bytes")
    return int.from_bytes(cursor.take(length), "little", signed=True)


def _quoted(cursor: Cursor) -> str | bytes:
    line = cursor.line().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in {b'"', b"'"}:  # noqa: PLR2004  a pair of quotes
        raise ValueError("a string without its quotes")
    raw = codecs.escape_decode(line[1:-1])[0]
    return _old_text(raw if isinstance(raw, bytes) else bytes(raw, "latin-1"))


def _old_text(raw: bytes) -> str | bytes:
    """What Python 2 called a string: text where it is text, as `torch.load` reads it, else bytes."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw


def _text(cursor: Cursor, layout: str) -> str:
    return str(cursor.take(cursor.number(layout)), "utf-8", "surrogatepass")


def _float(cursor: Cursor) -> float:
    value: float = struct.unpack(">d", cursor.take(8))[0]
    return value


CONSTANTS: dict[int, Callable[[Cursor], object]] = {
    ord("N"): lambda _: None,
    0x88: lambda _: True,
    0x89: lambda _: False,
    ord("I"): _int_line,
    ord("J"): lambda c: c.number("<i"),
    ord("K"): lambda c: c.byte(),
    ord("M"): lambda c: c.number("<H"),
    ord("L"): _long_line,
    0x8A: lambda c: _long(c, "<B"),
    0x8B: lambda c: _long(c, "<i"),
    ord("F"): lambda c: float(c.text()),
    ord("G"): _float,
    ord("S"): _quoted,
    ord("T"): lambda c: _old_text(bytes(c.take(c.number("<i")))),
    ord("U"): lambda c: _old_text(bytes(c.take(c.byte()))),
    ord("V"): lambda c: str(c.line(), "raw-unicode-escape", "surrogatepass"),
    ord("X"): lambda c: _text(c, "<I"),
    0x8C: lambda c: _text(c, "<B"),
    0x8D: lambda c: _text(c, "<Q"),
    # Bytes stay views of the file: the storages of a plainly pickled model lie inside them.
    ord("B"): lambda c: c.take(c.number("<I")),
    ord("C"): lambda c: c.take(c.byte()),
    0x8E: lambda c: c.take(c.number("<Q")),
    0x96: lambda c: c.take(c.number("<Q")),
}
"""What each constant opcode reads. Raises ValueError (UnicodeDecodeError is one), struct.error."""
