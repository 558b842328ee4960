"""SentencePiece's normalization table, done exactly by normalizers of the tokenizers library.

SentencePiece walks through a text and replaces the longest key of its table that begins where it stands. The library's
own `Precompiled` reads the same table, and is not exact: it looks at a grapheme at a time, takes the *shortest* key and
drops what the grapheme has beyond it, or looks at single characters only. It is exact where every character stands
alone, though. So the text is cut into units first, each of which SentencePiece takes as one: a key of several
characters, or one character. Then the characters are mapped by `Precompiled`, and NFC puts the units of several
characters together again; those that NFC does not know are replaced by themselves.

The cuts are marked with noncharacters of Unicode, which are no text; SentencePiece would leave them in.

Source: google/sentencepiece@827591a src/normalizer.cc (`NormalizePrefix`, `DecodePrecompiledCharsMap`);
huggingface/tokenizers@12c2952 tokenizers/src/normalizers/precompiled.rs.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CUT = "\ufdd0"
"""Between two units."""
GAP = "\ufdd1"
"""Between the characters of one unit."""
STANDINS = tuple(map(chr, range(0xFDD2, 0xFDEE)))
"""One for each symbol that the table must not touch."""
_LONGEST = 64
"""Bytes of a key. SentencePiece's own have 12 at most; a table without an end is a broken one."""
_MOST = 1 << 20
"""Keys of a table. SentencePiece's own have a quarter of that."""
_PASSES = 256
"""Over a text, one for each replacement that is neither of a single character nor NFC. SentencePiece's own need 90."""
_AT_ONCE = 1 << 12
"""Nodes whose children are looked for together."""


def steps(raw: bytes, symbols: Sequence[str]) -> list[Any]:
    """The normalizers that do what a table does and leave symbols as they are. Raises ValueError for a broken table."""
    from tokenizers import Regex, normalizers  # noqa: PLC0415 - only for such a file

    composed, left = _composed(raw)
    names = [literal(symbol) for symbol in sorted(symbols, key=len, reverse=True)]
    units = "|".join([*names, *([composed] if composed else []), r"[\s\S]"])
    mapping = [
        normalizers.Replace(Regex(rf"(?:{units})\K"), CUT),
        *(normalizers.Replace(Regex(f"(?<![^{CUT}])(?:{keys})(?={CUT})"), value) for value, keys in left),
        normalizers.Replace(Regex(f"(?<=[^{CUT}])(?=[^{CUT}])"), GAP),
        normalizers.Precompiled(raw),
        normalizers.Replace(GAP, ""),
        normalizers.NFC(),
        normalizers.Replace(CUT, ""),
    ]
    once = normalizers.Sequence(mapping)
    touched = [s for s in sorted(symbols, key=len, reverse=True) if once.normalize_str(s) != s]
    if len(touched) > len(STANDINS):
        raise ValueError(f"its normalization would change {len(touched)} of its user-defined symbols")
    standins = list(zip(touched, STANDINS, strict=False))
    return [
        *(normalizers.Replace(symbol, standin) for symbol, standin in standins),
        *mapping,
        *(normalizers.Replace(standin, symbol) for symbol, standin in standins),
    ]


@lru_cache(maxsize=8)
def table(raw: bytes) -> dict[str, str]:
    """What is replaced by what. Raises ValueError.

    A table is the size of a double-array trie, the trie, and the replacements, each with a zero byte at its end.
    """
    if not raw:
        return {}
    size = int.from_bytes(raw[:4], "little")
    if len(raw) < 4 + size or size % 4 or not size:
        raise ValueError("its table of normalization is cut off")
    units = np.frombuffer(raw, "<u4", count=size // 4, offset=4)
    texts = raw[4 + size :]
    found: dict[str, str] = {}
    paths = [b""]
    places = _offset(units[:1])
    for _ in range(_LONGEST):
        paths, places, here = _children(units, paths, places)
        ends = np.nonzero((here >> 8) & 1)[0]
        values = _looked_up(units, places[ends]) & 0x7FFFFFFF
        for end, value in zip(ends.tolist(), values.tolist(), strict=True):
            stop = texts.find(b"\0", value)
            if stop < 0:
                raise ValueError("its table of normalization points outside itself")
            found[paths[end].decode()] = texts[value:stop].decode()
        if not paths:
            return found
        if len(found) + len(paths) > _MOST:
            break
    raise ValueError("its table of normalization has no end")


def _children(
    units: np.ndarray[Any, Any], paths: list[bytes], places: np.ndarray[Any, Any]
) -> tuple[list[bytes], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The nodes below some nodes: the bytes that lead there, where their own children are, and what they are."""
    labels = np.arange(1, 256, dtype=np.uint32)
    longer: list[bytes] = []
    below = [np.empty(0, np.uint32)]
    nodes = [np.empty(0, np.uint32)]
    for start in range(0, len(places), _AT_ONCE):
        where = places[start : start + _AT_ONCE, None] ^ labels
        unit = _looked_up(units, where)
        parent, label = np.nonzero((unit & 0x800000FF) == labels)
        unit = unit[parent, label]
        nodes.append(unit)
        below.append(where[parent, label] ^ _offset(unit))
        longer += [paths[start + p] + bytes((c + 1,)) for p, c in zip(parent.tolist(), label.tolist(), strict=True)]
    return longer, np.concatenate(below), np.concatenate(nodes)


def _offset(unit: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """How far from a node its children are."""
    far: np.ndarray[Any, Any] = (unit >> 10) << ((unit & 0x200) >> 6)
    return far


def _looked_up(units: np.ndarray[Any, Any], where: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The units at these places. Raises ValueError for one outside: SentencePiece would read it all the same."""
    if where.size and int(where.max()) >= len(units):
        raise ValueError("its table of normalization points outside itself")
    found: np.ndarray[Any, Any] = units[where]
    return found


@lru_cache(maxsize=8)
def _composed(raw: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    """A regex for the keys of several characters; and each text that single characters and NFC do not give, with one.

    Raises ValueError.
    """
    from tokenizers import normalizers  # noqa: PLC0415 - only for such a file

    found = table(raw)
    several = sorted((key for key in found if len(key) > 1), key=len, reverse=True)
    if not several:
        return "", ()
    mapped = CUT.join("".join(found.get(character, character) for character in key) for key in several)
    put_together = normalizers.NFC().normalize_str(mapped).split(CUT)
    left: dict[str, list[str]] = {}
    for key, got in zip(several, put_together, strict=True):
        if got != found[key]:
            left.setdefault(found[key], []).append(key)
    if len(left) > _PASSES or any(found.get(character, character) != character for character in "".join(left)):
        raise ValueError("its normalization replaces sequences of characters by rules of its own")
    return _regex(several), tuple((value, _regex(keys)) for value, keys in left.items())


def _regex(keys: Iterable[str]) -> str:
    """A regex for the longest of some strings, each of at least two characters; strings that end alike share it."""
    trie: dict[str, Any] = {}
    for key in keys:
        node = trie
        for character in key:
            node = node.setdefault(character, {})
        node[""] = {}
    return _branches(trie)


def _branches(node: dict[str, Any]) -> str:
    alike: dict[str, list[str]] = {}
    for character, below in node.items():
        if character:
            alike.setdefault(_branches(below), []).append(character)
    if not alike:
        return ""
    choices = "|".join(character_class(characters) + below for below, characters in alike.items())
    return f"(?:{choices})" + ("?" if "" in node else "")


def character_class(characters: Iterable[str], negated: str = "") -> str:
    """A regex for one of some characters, neighbours as a range; `negated` is `^` for any other one."""
    ranges: list[list[int]] = []
    for number in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return f"[{negated}" + "".join(f"\\x{{{a:x}}}" + (f"-\\x{{{b:x}}}" if b > a else "") for a, b in ranges) + "]"


def literal(text: str) -> str:
    """A regex for a text and nothing else."""
    return "".join(f"\\x{{{ord(character):x}}}" for character in text)
