"""SentencePiece's pieces as a model of the tokenizers library, for each kind of SentencePiece model.

Pieces that SentencePiece never finds in a text (control symbols, bytes, the unknown one, unused ones) are in the
library's vocabulary like all others. What keeps it from finding them is said where it is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from ckpt2hf.tokenizers.merges import merges
from ckpt2hf.tokenizers.sentencepiece_charsmap import character_class, literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SPACE = "\u2581"
"""SentencePiece's mark for a space."""


class Inexpressible(Exception):  # noqa: N818 - not a failure: the model is understood
    """A SentencePiece model that the tokenizers library cannot express exactly."""


class Kind(IntEnum):
    """What a piece is, by its number in SentencePiece's protobuf."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True, slots=True)
class Built:
    """A model, and what a text goes through before."""

    model: Any
    replaced: Mapping[str, str] = field(default_factory=dict)
    """At the end of the normalization."""
    pattern: str | None = None
    """What is cut out of the text as a part by itself."""


NOWHERE = "\ufdef"
"""What is no character of any text, so that no piece has it: it is unknown."""
_FOUND = (Kind.NORMAL, Kind.USER_DEFINED)
"""What is found in text."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """All pieces, in the order of their ids."""

    rows: tuple[tuple[str, float, Kind], ...]

    @classmethod
    def of(cls, proto: Any) -> Pieces:  # noqa: ANN401 - a class that protobuf makes
        """The pieces of a model. Raises ValueError."""
        # protobuf gives bytes for what is no text
        if not all(isinstance(row.piece, str) for row in proto.pieces):
            raise ValueError("a piece is not text in UTF-8")
        rows = tuple((row.piece, float(row.score), Kind(row.type)) for row in proto.pieces)
        if len({text for text, _, _ in rows}) < len(rows) or not all(text for text, _, _ in rows):
            raise ValueError("a piece is empty or there twice")
        if not np.isfinite([score for _, score, _ in rows]).all():
            raise ValueError("a score is no number")
        held = cls(rows)
        if len(held.texts(Kind.UNKNOWN)) != 1:
            raise ValueError("it has not one unknown symbol")
        if not held.alphabet:
            raise ValueError("no character is a piece")
        return held

    def texts(self, *kinds: Kind) -> list[str]:
        """The pieces of some kinds."""
        return [text for text, _, kind in self.rows if kind in kinds]

    @property
    def vocabulary(self) -> dict[str, int]:
        """All of them, with their ids."""
        return {text: number for number, (text, _, _) in enumerate(self.rows)}

    @property
    def hidden(self) -> list[str]:
        """The pieces that are never found in text."""
        return [text for text, _, kind in self.rows if kind not in _FOUND]

    @property
    def bytes(self) -> bool:
        """Whether an unknown character is written as its bytes."""
        return bool(self.texts(Kind.BYTE))

    @property
    def unknown(self) -> str:
        """The unknown symbol."""
        return self.texts(Kind.UNKNOWN)[0]

    @property
    def alphabet(self) -> set[str]:
        """The characters that are pieces."""
        return {text for text in self.texts(*_FOUND) if len(text) == 1}

    def require_closed(self) -> None:
        """Raises Inexpressible where a piece has a character that is none itself.

        Without such pieces a text has as many unknown characters whatever is chosen, so that their score is of no
        consequence, and any two parts of a piece can be merged in the library as in SentencePiece.
        """
        alphabet = self.alphabet
        for text in self.texts(Kind.NORMAL):
            if absent := sorted({*text} - alphabet):
                raise Inexpressible(f"the character {absent[0]!r} of the piece {text!r} is no piece itself")


def unigram(held: Pieces) -> Built:
    """The most likely pieces. Raises Inexpressible.

    A piece that is not to be found gets a score below that of its characters one by one. Where one of those is no piece
    itself, the text is cut around unknown characters: no piece goes across such a cut.
    """
    from tokenizers import models  # noqa: PLC0415 - only for such a file

    held.require_closed()
    scores = [score for _, score, kind in held.rows if kind is Kind.NORMAL] or [0.0]
    lowest = min(0.0, *scores) * max(len(text) for text in held.hidden) - 1
    # SentencePiece begins to look for the best score at the smallest positive float, so that none below counts.
    best = max(float(np.finfo(np.float32).tiny), *scores)

    def score(text: str, own: float, kind: Kind) -> float:
        if kind is Kind.USER_DEFINED:
            return len(text.encode()) * best - 0.1
        return own if kind is Kind.NORMAL else lowest

    model = models.Unigram(
        [(text, score(text, own, kind)) for text, own, kind in held.rows],
        unk_id=held.vocabulary[held.unknown],
        byte_fallback=held.bytes,
    )
    alphabet = held.alphabet
    if all({*text} <= alphabet for text in held.hidden):
        return Built(model)
    # A symbol with an unknown character has to be a part by itself, then.
    symbols = [text for text in held.texts(Kind.USER_DEFINED) if not {*text} <= alphabet]
    for symbol in symbols:
        _require_uncrossed(symbol, held)
    names = "|".join(map(literal, sorted(symbols, key=len, reverse=True)))
    unknown = rf"(?:{f'(?!{names})' if names else ''}{character_class(alphabet, '^')}){'' if held.bytes else '+'}"
    return Built(model, _unfindable(held), f"{names}|{unknown}" if names else unknown)


def _require_uncrossed(symbol: str, held: Pieces) -> None:
    """Raises Inexpressible where a piece can begin or end within a symbol: the scores decide then."""
    heads = tuple(symbol[:end] for end in range(1, len(symbol)))
    tails = tuple(symbol[start:] for start in range(1, len(symbol)))
    for text in held.texts(Kind.NORMAL):
        if len(text) > 1 and (symbol in text or text.endswith(heads) or text.startswith(tails)):
            raise Inexpressible(f"its piece {text!r} can overlap its user-defined symbol {symbol!r}")


def _unfindable(held: Pieces) -> dict[str, str]:
    """What becomes of the symbols that are not to be found, and of which no character is known. Raises Inexpressible.

    Each is unknown as a whole, as a character that nobody has is.
    """
    whole = [text for text in held.hidden if not {*text} & held.alphabet]
    if whole and held.bytes and any(len(text) == 1 for text in whole):
        raise Inexpressible(f"the character {min(whole, key=len)!r} is a symbol and, in text, bytes")
    return {} if held.bytes else dict.fromkeys(sorted(whole, key=len, reverse=True), NOWHERE)


def bpe(held: Pieces) -> Built:
    """Pieces merged from characters, the best score first. Raises Inexpressible."""
    if unused := held.texts(Kind.UNUSED):
        raise Inexpressible(f"{unused[0]!r} is an unused piece, which SentencePiece takes apart again")
    held.require_closed()
    return _merging(held, merges({text: -score for text, score, kind in held.rows if kind is Kind.NORMAL}))


def characters(held: Pieces) -> Built:
    """A piece for each character. Raises Inexpressible."""
    if longer := next((text for text in held.texts(Kind.NORMAL) if len(text) > 1), None):
        raise Inexpressible(f"it is of characters, and its piece {longer!r} has several")
    return _merging(held, [])


def _merging(held: Pieces, pairs: list[tuple[str, str]]) -> Built:
    """A BPE model whose user-defined symbols are cut out of the text before. Raises Inexpressible.

    A symbol has no merges: it is found because it is all there is between two cuts (`ignore_merges`). So are other
    pieces, which is right for those that merging gives as well.
    """
    from tokenizers import models  # noqa: PLC0415 - only for such a file

    def model(*, whole: bool) -> Any:  # noqa: ANN401 - a class of a library that is imported here only
        return models.BPE(
            vocab=held.vocabulary,
            merges=pairs,
            unk_token=held.unknown,
            fuse_unk=True,
            byte_fallback=held.bytes,
            ignore_merges=whole,
        )

    merging = model(whole=False)
    symbols = sorted(held.texts(Kind.USER_DEFINED), key=len, reverse=True)
    if not symbols:
        return Built(merging)
    for text in held.texts(Kind.NORMAL):
        if [token.value for token in merging.tokenize(text)] != [text]:
            raise Inexpressible(f"it has user-defined symbols, and a piece that merging never gives: {text!r}")
    replaced = _unfindable(held)
    apart = _taken_apart(merging, symbols, held)
    return Built(model(whole=True), replaced, "|".join([*map(literal, symbols), *apart]))


def _taken_apart(merging: Any, symbols: list[str], held: Pieces) -> Iterator[str]:  # noqa: ANN401
    """A regex for the beginning of each piece that is not to be found, where that piece is all between two cuts.

    The cut is where merging leaves one, so that it changes nothing else.
    """
    alphabet = held.alphabet
    ends = "|".join(map(literal, symbols))
    before = rf"(?:\A|{'|'.join(f'(?<={literal(symbol)})' for symbol in symbols)})"
    for text in held.hidden:
        known = next((at for at, character in enumerate(text) if character in alphabet), len(text))
        if held.bytes and known:
            known = 1
        first = text[:known] if known else merging.tokenize(text)[0].value
        if first != text:
            yield rf"{before}{literal(first)}(?={literal(text[len(first) :])}(?:\z|{ends}))"
