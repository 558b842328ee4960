"""`vocab.json` and `merges.txt`: what the tokenizers library's `save_model` writes of a BPE model.

The two files hold the model only. How text is split before is not in them, so GPT-2's convention is followed, and only
where the vocabulary shows that training followed it: every byte has its letter, and there are tokens of several
characters that begin with the letter of a space. A vocabulary that has all the letters and no such token comes from
another split (the letters can be put in as an initial alphabet), and one with `</w>` from another library.

Source: huggingface/tokenizers@v0.22.2 bindings/python/py_src/tokenizers/implementations/byte_level_bpe.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckpt2hf.errors import NotFoundError, TokenizerError
from ckpt2hf.tokenizers import byte_level
from ckpt2hf.tokenizers.data import read_json, read_text
from ckpt2hf.tokenizers.format import Format, Hints
from ckpt2hf.tokenizers.library import LibraryOriginal
from ckpt2hf.tokenizers.source import TokenizerSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SAVE = "in the training environment: Tokenizer.save('tokenizer.json'), which holds the split as well"
_NONE = "--tokenizer none   (the directory is made without)"
SPACE = "\u0120"
"""The letter of a space in byte-level BPE."""


def fits(path: Path, head: bytes) -> bool:
    """Whether it is a JSON file with merges beside it."""
    return (
        path.suffix == ".json" and head.lstrip()[:1] == b"{" and b'"added_tokens"' not in head and _merges_of(path)[1]
    )


def _merges_of(path: Path) -> tuple[Path, bool]:
    """The file of merges that belongs to a vocabulary, and whether it is there. Both may have a name before them."""
    beside = path.with_name(path.name.removesuffix("vocab.json") + "merges.txt")
    return beside, path.name.endswith("vocab.json") and beside.is_file()


def read(path: Path, _hints: Hints) -> TokenizerSource:
    """The tokenizer of two files. Raises TokenizerError, NotFoundError."""
    beside, there = _merges_of(path)
    if not there:
        raise NotFoundError(f"{beside.name} is not beside {path.name}", where=str(path))
    vocabulary = table(path)
    merges = _merges(beside, vocabulary)
    _require_byte_level(path, vocabulary)
    specials = _specials(path, vocabulary, merges)
    from tokenizers import ByteLevelBPETokenizer  # noqa: PLC0415 - only for such a file

    original = ByteLevelBPETokenizer(dict(vocabulary), merges)
    original.add_special_tokens(specials)
    return TokenizerSource(
        format="byte-level BPE",
        files=(path, beside),
        original=LibraryOriginal(original._tokenizer),  # noqa: SLF001 - the class is a wrapper, whose errors are others
        product=byte_level.tokenizer(vocabulary, merges, specials, None, whole=False),
        specials_in_text=True,
        notes=(
            "the files do not say how text is split before merging: GPT-2's convention was followed",
            *([f"special, because no merge makes them: {', '.join(specials)}"] if specials else []),
        ),
    )


def table(path: Path) -> dict[str, int]:
    """A vocabulary in JSON: token -> id. Raises TokenizerError, NotFoundError."""
    found = read_json(path)
    if not isinstance(found, dict) or not found:
        raise TokenizerError(f"{path.name} is no table of tokens", where=str(path), remedies=[_NONE])
    wrong = next((token for token, number in found.items() if type(number) is not int or number < 0), None)
    if wrong is not None or len({*found.values()}) < len(found):
        what = f"{wrong!r} has no id" if wrong is not None else "two tokens have one id"
        raise TokenizerError(
            f"{path.name} is no vocabulary: {what}",
            where=str(path),
            tried="token -> id",
            remedies=["copy the file again, whole", _NONE],
        )
    return found


def _merges(path: Path, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """The merges, the first to be done first. Raises TokenizerError, NotFoundError."""
    merges = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip() or line.startswith("#version"):
            continue
        parts = line.rstrip("\r").split(" ")
        if len(parts) != 2 or not all(token in vocabulary for token in (*parts, "".join(parts))):  # noqa: PLR2004
            raise TokenizerError(
                f"line {number} of {path.name} is no merge of two tokens of the vocabulary: {line[:60]!r}",
                where=str(path),
                tried="vocab.json and merges.txt",
                remedies=["copy both files again, from one training run", _SAVE, _NONE],
            )
        merges.append((parts[0], parts[1]))
    return merges


def _require_byte_level(path: Path, vocabulary: Mapping[str, int]) -> None:
    """Raises TokenizerError for a vocabulary that does not show how text was split."""
    spaced = any(token.startswith(SPACE) and len(token) > 1 for token in vocabulary)
    absent = [letter for letter in byte_level.letters() if letter not in vocabulary]
    if spaced and not absent:
        return
    if any(token.endswith("</w>") for token in vocabulary):
        why = "its words end in </w>: neither lower-casing, nor the split, nor the unknown token is in the files"
    elif absent:
        why = f"it is not byte-level ({len(absent)} of 256 bytes have no token), and the files do not say what it is"
    else:
        why = f"no token of several characters begins with a space ({SPACE}): it was not split as GPT-2 does"
    raise TokenizerError(
        f"{path.name} and merges.txt do not say how text was split",
        details=[why],
        where=str(path),
        tried="byte-level BPE, split as GPT-2 does",
        remedies=[_SAVE, _NONE],
    )


def _specials(path: Path, vocabulary: Mapping[str, int], merges: list[tuple[str, str]]) -> list[str]:
    """The tokens that are there by name only, by their ids. Raises TokenizerError where merges are missing."""
    made = {left + right for left, right in merges}
    alone = sorted((token for token in vocabulary if len(token) > 1 and token not in made), key=vocabulary.__getitem__)
    lost = [token for token in alone if token[0] + token[-1] not in {"<>", "[]"}]
    if lost:
        raise TokenizerError(
            f"{len(lost)} tokens of {path.name} come from no merge, such as {lost[0]!r}: merges.txt is not whole",
            where=str(path),
            tried="vocab.json and merges.txt",
            remedies=["copy both files again, from one training run", _SAVE, _NONE],
        )
    return alone


FORMAT = Format(
    id="vocab-merges",
    title="vocab.json and merges.txt",
    beside=("vocab.json", "*-vocab.json"),
    packages=("tokenizers",),
    fits=fits,
    read=read,
)
