"""A vocabulary and nothing else: `vocab.txt` with a token a line, or JSON with a list or a table of tokens.

Single characters are a character level tokenizer. Words are looked up between white space, as home-made dictionaries
do. Parts of words need rules that such a file does not have, and are refused.

Source: pytorch/examples@77f55b9 word_language_model/data.py (`Dictionary`: `idx2word`; `line.split()`);
karpathy/nanoGPT@3adf61e data/shakespeare_char/prepare.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers.characters import characters
from ckpt2hf.tokenizers.data import read_json, read_text
from ckpt2hf.tokenizers.format import Format, Hints
from ckpt2hf.tokenizers.source import TokenizerSource, Unencodable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

UNKNOWN = ("<unk>", "[UNK]", "<UNK>")
"""What a dictionary calls a word that it does not have."""
_SAVE = "in the training environment: Tokenizer.save('tokenizer.json')"
_NONE = "--tokenizer none   (the directory is made without)"
_PYTHON_SPACE = r"[\s\x1c-\x1f]+"
"""What `str.split()` splits at: Unicode's white space, and four separators of ASCII."""
_PARTS: Mapping[str, str] = {
    "##": "WordPiece: whether text was lower-cased and how it was cleaned is not in it",
    "\u0120": "byte-level BPE: its merges are not in it",
    "\u2581": "SentencePiece: its scores or merges are not in it",
    "@@": "BPE: its merges are not in it",
    "</w>": "BPE: its merges are not in it",
}
"""The marks of parts of words, and why a vocabulary with them is not enough."""


@dataclass(frozen=True, slots=True)
class WordsOriginal:
    """A dictionary of words, used as `line.split()` and a look-up do."""

    table: Mapping[str, int]
    words: Mapping[int, str]
    unknown: int | None

    @property
    def library(self) -> str:
        """There is none."""
        return "a table of words"

    def encode(self, text: str) -> list[int]:
        """The id of each word. Raises Unencodable for one that is not in the table, where that has no unknown word."""
        ids = [self.table.get(word, self.unknown) for word in text.split()]
        known = [number for number in ids if number is not None]
        if len(known) < len(ids):
            word = text.split()[ids.index(None)]
            raise Unencodable(f"{word!r} is not among its {len(self.table)} words")
        return known

    def decode(self, ids: Sequence[int]) -> str:
        """The words, with a space between."""
        return " ".join(self.words[number] for number in ids)


def fits(path: Path, head: bytes) -> bool:
    """Whether it is a text file, or JSON that is no tokenizer of the tokenizers library."""
    return path.suffix == ".txt" or (path.suffix == ".json" and head.lstrip()[:1] in {b"[", b"{"})


def read(path: Path, _hints: Hints) -> TokenizerSource:
    """The tokenizer of a vocabulary. Raises TokenizerError, NotFoundError."""
    table = _lines(path) if path.suffix == ".txt" else _json(path)
    for mark, why in _PARTS.items():
        example = next((token for token in table if mark in token and token != mark), None)
        if example is not None:
            raise TokenizerError(
                f"{path.name} is a vocabulary of parts of words, such as {example!r}",
                details=[why],
                where=str(path),
                tried="words",
                remedies=[_SAVE, _NONE],
            )
    if all(len(token) == 1 for token in table):
        return characters(path, table, "characters")
    unknown = next((name for name in UNKNOWN if name in table), None)
    letters = [token for token in table if len(token) == 1]
    if len(letters) > len(table) / 2:
        named = next(token for token in table if len(token) > 1)
        raise TokenizerError(
            f"{path.name} has characters, and {named!r}: it does not say how text was cut",
            where=str(path),
            tried="characters, words",
            remedies=[f"a list without {named!r} and its like, if text never had them", _SAVE, _NONE],
        )
    said = f"an unknown word is {unknown}" if unknown else "a text with a word that is not in the table is an error"
    return TokenizerSource(
        format="words",
        files=(path,),
        original=WordsOriginal(
            table, {number: word for word, number in table.items()}, table[unknown] if unknown else None
        ),
        product=_product(table, unknown),
        named={"unk": unknown} if unknown else {},
        specials_in_text=False,
        notes=("the file does not say how text is split: it is split at white space", said),
    )


def _lines(path: Path) -> dict[str, int]:
    """The tokens of a text file, numbered from 0. Raises TokenizerError, NotFoundError."""
    lines = read_text(path).replace("\r\n", "\n").removesuffix("\n").split("\n")
    if "" in lines:
        raise TokenizerError(
            f"line {lines.index('') + 1} of {path.name} is empty, and a token is not",
            where=str(path),
            tried="a token a line",
            remedies=["a JSON list of the tokens, which can have a line's end among them", _NONE],
        )
    return _numbered(path, lines)


def _json(path: Path) -> dict[str, int]:
    """The tokens of a JSON file: a list, a table, or one of them under `itos` or `stoi`. Raises TokenizerError."""
    tree = read_json(path)
    if isinstance(tree, dict):
        tree = next((tree[key] for key in ("stoi", "itos") if isinstance(tree.get(key), list | dict)), tree)
    if isinstance(tree, list):
        return _numbered(path, tree)
    if isinstance(tree, dict) and tree and all(isinstance(token, str) for token in tree.values()):
        tree = {token: int(number) for number, token in tree.items() if number.isdecimal()}
    right = isinstance(tree, dict) and all(type(number) is int and number >= 0 for number in tree.values())
    if not right or not tree or "" in tree or len({*tree.values()}) < len(tree):
        raise _wrong(path, "it is neither a list of tokens nor a table of their ids")
    return dict(tree)


def _numbered(path: Path, tokens: Sequence[Any]) -> dict[str, int]:
    """The ids of tokens in order. Raises TokenizerError."""
    if not tokens or not all(isinstance(token, str) and token for token in tokens):
        raise _wrong(path, "it is no list of tokens")
    table = {token: number for number, token in enumerate(tokens)}
    if len(table) < len(tokens):
        twice = next(token for number, token in enumerate(tokens) if table[token] != number)
        raise _wrong(path, f"{twice!r} is there twice")
    return table


def _wrong(path: Path, what: str) -> TokenizerError:
    """The error for a file that is not what it seems."""
    return TokenizerError(
        f"{path.name} is no vocabulary: {what}",
        where=str(path),
        tried="characters, words",
        remedies=["--tokenizer FILE   (the one the model was trained with)", _NONE],
    )


def _product(table: Mapping[str, int], unknown: str | None) -> Any:  # noqa: ANN401 - a class of a library
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers  # noqa: PLC0415

    # A name that is no word, because it has a space, where there is none for unknown ones: the model raises then.
    made = Tokenizer(models.WordLevel(vocab=dict(table), unk_token=unknown or "no word"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(_PYTHON_SPACE), behavior="removed")
    named = [token for token in table if len(token) > 2 and token[0] + token[-1] in {"<>", "[]"}]  # noqa: PLR2004
    made.add_special_tokens([AddedToken(token, normalized=False) for token in named])
    # A word of that name is looked up like any other. The library does not save this; split_special_tokens sets it.
    made.encode_special_tokens = True
    return made


FORMAT = Format(
    id="vocabulary",
    title="vocabulary of characters or words (vocab.txt, vocab.json)",
    beside=("vocab.txt", "vocab.json", "itos.json", "stoi.json"),
    packages=("tokenizers",),
    fits=fits,
    read=read,
)
