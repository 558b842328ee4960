"""tiktoken's ranks: a `*.tiktoken` file, Llama 3's `tokenizer.model`, and a pickled `tiktoken.Encoding`.

A rank file has a token in base64 and its rank a line, and neither how text is split nor the special tokens. A pickle
has both: an encoding that is not in tiktoken's registry is pickled as its name, its regex, its ranks and its special
tokens, one that is as its name only. The pickle is read without executing anything in it.

Source: openai/tiktoken@0.14.0 tiktoken/core.py (`__getstate__`), tiktoken/load.py (`load_tiktoken_bpe`), src/lib.rs;
meta-llama/llama3@a0940f9 llama/tokenizer.py; karpathy/nanochat@849d95a nanochat/tokenizer.py (`tokenizer.pkl`).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import Record, read_tree
from ckpt2hf.errors import CheckpointError, TokenizerError
from ckpt2hf.tokenizers import byte_level
from ckpt2hf.tokenizers.data import read_bytes
from ckpt2hf.tokenizers.format import Format, Hints
from ckpt2hf.tokenizers.merges import merges
from ckpt2hf.tokenizers.oniguruma import translated
from ckpt2hf.tokenizers.source import TokenizerSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_WORDS = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}"
_CASED = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_ENDING = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERNS: Mapping[str, str] = {
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s",
    "cl100k_base": _WORDS + r"++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k_base": (
        rf"{_CASED}*[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]+{_ENDING}|{_CASED}+[\p{{Ll}}\p{{Lm}}\p{{Lo}}\p{{M}}]*{_ENDING}"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "llama3": (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    ),
    "nanochat": _WORDS + r"+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
}
"""How text is split before merging, by the name that `--tokenizer-pattern` takes."""
_FLAGS = (
    f"--tokenizer-pattern NAME   ({', '.join(PATTERNS)}, or the regex itself)",
    "--special-token TOKEN=ID   (once for each; none if it has none)",
)
_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d+\r?\n")
_HIGHEST = 1 << 31
"""No id is as large, and tiktoken counts in 32 bits."""
_HOLES = 100_000
"""Ids that may be left out; OpenAI's own encodings leave out 17 at most."""


@dataclass(frozen=True, slots=True)
class TiktokenOriginal:
    """tiktoken itself, with the ranks of the file."""

    encoding: Any

    @property
    def library(self) -> str:
        """Name and version."""
        return f"tiktoken {version('tiktoken')}"

    def encode(self, text: str) -> list[int]:
        """What `encode(text, allowed_special="all")` gives."""
        ids: list[int] = self.encoding.encode(text, allowed_special="all")
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """What `decode(ids)` gives."""
        text: str = self.encoding.decode(list(ids), errors="replace")
        return text


@dataclass(frozen=True, slots=True)
class _Encoding:
    """What tiktoken makes an encoding of."""

    ranks: Mapping[bytes, int]
    specials: Mapping[str, int]
    pattern: str
    notes: tuple[str, ...] = ()


def fits_ranks(path: Path, head: bytes) -> bool:
    """Whether it is text with a token in base64 and its rank a line."""
    return path.suffix in {".tiktoken", ".model"} and _LINE.match(head) is not None


def fits_pickle(path: Path, head: bytes) -> bool:
    """Whether it is a pickle of tiktoken's class."""
    return path.suffix == ".pkl" and b"tiktoken" in head


def read_ranks(path: Path, hints: Hints) -> TokenizerSource:
    """The tokenizer in a rank file. Raises TokenizerError, NotFoundError."""
    ranks = _ranks(path, read_bytes(path))
    if hints.pattern is None:
        raise TokenizerError(
            f"{path.name} does not say how text is split before merging, nor which tokens are special",
            where=str(path),
            tried="tiktoken rank file",
            remedies=_FLAGS,
        )
    said = f"text is split by the regex of {hints.pattern}" if hints.pattern in PATTERNS else "text is split as you say"
    more = () if hints.special_tokens else ("it has no special tokens, because no --special-token names one",)
    pattern = PATTERNS.get(hints.pattern, hints.pattern)
    return _source(path, _Encoding(ranks, hints.special_tokens or {}, pattern, (said, *more)), "tiktoken ranks")


def read_pickle(path: Path, _hints: Hints) -> TokenizerSource:
    """The tokenizer in a pickled `tiktoken.Encoding`. Raises TokenizerError, NotFoundError."""
    try:
        tree = read_tree(path)
    except CheckpointError as error:
        raise _wrong(path, f"it cannot be read: {error.what}", error.details) from error
    fields = tree.fields if isinstance(tree, Record) and tree.class_name.startswith("tiktoken.") else {}
    if isinstance(name := fields.get("__state__"), str):
        raise TokenizerError(
            f"{path.name} holds only a name, {name!r}: what tiktoken keeps of an encoding that it knows by itself",
            where=str(path),
            tried="pickled tiktoken.Encoding",
            remedies=[f"--tokenizer {name}.tiktoken   (the rank file)", *_FLAGS],
        )
    ranks, specials, pattern = (fields.get(key) for key in ("mergeable_ranks", "special_tokens", "pat_str"))
    if not isinstance(ranks, dict) or not isinstance(specials, dict) or not isinstance(pattern, str):
        raise _wrong(path, "it is no tiktoken.Encoding with mergeable_ranks, special_tokens and pat_str")
    # The reader leaves long bytes where they are in the file.
    whole = {bytes(token) if isinstance(token, memoryview) else token: rank for token, rank in ranks.items()}
    return _source(path, _Encoding(whole, specials, pattern), "tiktoken encoding")


def _ranks(path: Path, data: bytes) -> dict[bytes, int]:
    """The tokens of a rank file. Raises TokenizerError."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line:
            continue
        try:
            token, rank = line.split()
            key, value = base64.b64decode(token, validate=True), int(rank)
        except (ValueError, binascii.Error) as error:
            raise _wrong(path, f"line {number} is not a token in base64 and a rank: {line[:40]!r}") from error
        if key in ranks:
            raise _wrong(path, f"line {number} has a token that an earlier line has")
        ranks[key] = value
    return ranks


def _source(path: Path, held: _Encoding, title: str) -> TokenizerSource:
    """The tokenizer of an encoding. Raises TokenizerError."""
    if problem := _problem(held):
        raise _wrong(path, problem)
    from tiktoken import Encoding  # noqa: PLC0415 - only for such a file

    try:
        pattern = translated(held.pattern)
        vocabulary = {byte_level.written(token): rank for token, rank in held.ranks.items()}
        pairs = [(byte_level.written(a), byte_level.written(b)) for a, b in merges(held.ranks)]
        specials = sorted(held.specials, key=lambda token: held.specials[token])
        unused = _unused([*held.ranks.values(), *held.specials.values()])
        product = byte_level.tokenizer({**vocabulary, **held.specials, **unused}, pairs, specials, pattern, whole=True)
        encoding = Encoding(
            path.stem, pat_str=held.pattern, mergeable_ranks=dict(held.ranks), special_tokens=dict(held.specials)
        )
    except Exception as error:  # neither library raises anything narrower for a regex that it does not take
        raise TokenizerError(
            f"the regex that splits text cannot be used: {error}",
            where=str(path),
            tried=held.pattern,
            remedies=_FLAGS[:1],
        ) from error
    told = [f"{len(unused)} ids between others belong to no token: '{next(iter(unused))}' …"] if unused else []
    return TokenizerSource(
        format=title,
        files=(path,),
        original=TiktokenOriginal(encoding),
        product=product,
        specials_in_text=True,
        notes=(*held.notes, *told),
    )


def _unused(ids: Sequence[int]) -> dict[str, int]:
    """A name for each id that is left out: the library takes a vocabulary with holes for a damaged one, and says so.

    No text has them, because bytes are never written with a space.
    """
    return {f"unused {number}": number for number in sorted({*range(max(ids))} - {*ids})}


def _problem(held: _Encoding) -> str | None:
    """What is wrong with ranks and special tokens, if anything is."""
    if not all(isinstance(token, bytes) and token for token in held.ranks):
        return "a token is not of bytes"
    if not all(isinstance(token, str) and token for token in held.specials):
        return "a special token is not text"
    ids = [*held.ranks.values(), *held.specials.values()]
    if not all(type(number) is int and 0 <= number < _HIGHEST for number in ids) or len({*ids}) < len(ids):
        return "an id is no number, or is there twice"
    absent = [f"0x{byte:02x}" for byte in range(256) if bytes((byte,)) not in held.ranks]
    if absent:
        return f"no token is the byte {absent[0]} alone, so that some texts have no ids"
    if max(ids) > len(ids) + _HOLES:
        return f"it has {len(ids)} tokens, and ids up to {max(ids)}"
    return next(_unnameable(held), None)


def _unnameable(held: _Encoding) -> Iterator[str]:
    """What is wrong with special tokens beside the names that other tokens have in tokenizer.json."""
    written = {byte_level.written(token) for token in held.ranks}
    for token in held.specials:
        if token in written:
            yield f"{token!r} is a special token and an ordinary one, which have one name in tokenizer.json"
        if byte_level.shown_wrong(token):
            yield f"the letters of the special token {token!r} are what tokenizer.json writes other bytes with"


def _wrong(path: Path, what: str, details: Sequence[str] = ()) -> TokenizerError:
    """The error for a file that is not what it seems."""
    return TokenizerError(
        f"{path.name} is no tokenizer of tiktoken: {what}",
        details=details,
        where=str(path),
        tried="tiktoken ranks",
        remedies=["copy the file again, whole", "--tokenizer none   (the directory is made without)"],
    )


RANKS = Format(
    id="tiktoken",
    title="tiktoken rank file (*.tiktoken, Llama 3's tokenizer.model)",
    beside=("tokenizer.model", "*.tiktoken", "*.model"),
    packages=("tiktoken", "tokenizers"),
    fits=fits_ranks,
    read=read_ranks,
)
PICKLE = Format(
    id="tiktoken-pickle",
    title="pickled tiktoken.Encoding (tokenizer.pkl)",
    beside=("tokenizer.pkl",),
    packages=("tiktoken", "tokenizers"),
    fits=fits_pickle,
    read=read_pickle,
)
