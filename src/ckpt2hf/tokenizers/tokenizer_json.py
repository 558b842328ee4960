"""`tokenizer.json`: what the tokenizers library saves.

It is written on as it is, but for `Whitespace`, which not every reader takes alike (`word_split`).

Beside it may lie what transformers wrote, `tokenizer_config.json` and `special_tokens_map.json`: they name the special
tokens.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers.data import read_json, read_text
from ckpt2hf.tokenizers.format import Format, Hints
from ckpt2hf.tokenizers.library import LibraryOriginal
from ckpt2hf.tokenizers.source import ROLES, TokenizerSource
from ckpt2hf.tokenizers.word_split import spelled_out

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "tokenizer.json"
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json")
"""Who names special tokens; the later counts."""


def fits(path: Path, head: bytes) -> bool:
    """Whether it is called so, broken or not, or is JSON with the keys of one. A vocabulary has other keys."""
    return path.name == _NAME or (path.suffix == ".json" and b'"added_tokens"' in head)


def read(path: Path, _hints: Hints) -> TokenizerSource:
    """The tokenizer of a file, and the names of its special tokens. Raises TokenizerError, NotFoundError."""
    text = read_text(path)
    original, product = parsed(path, text), parsed(path, text)
    notes = []
    table = json.loads(text)
    if (split := spelled_out(table["pre_tokenizer"])) != table["pre_tokenizer"]:
        product = parsed(path, json.dumps({**table, "pre_tokenizer": split}))
        notes.append("Whitespace is written as its regex, which JavaScript reads alike")
    if product.truncation or product.padding:
        # They are about batches of the training run; a text that is cut off in silence would be an error here.
        product.no_truncation()
        product.no_padding()
        notes.append(f"{path.name} cuts or pads texts; what is written does so only when it is asked to")
    named, files = _named(path.parent)
    original.no_truncation()
    original.no_padding()
    return TokenizerSource(
        format=f"tokenizer.json, {table['model']['type']}",
        files=(path, *files),
        original=LibraryOriginal(original),
        product=product,
        named=named,
        specials_in_text=True,
        notes=tuple(notes),
    )


def parsed(path: Path, text: str) -> Any:  # noqa: ANN401 - a class of a library that is imported here only
    """A `tokenizers.Tokenizer` of the text of a file. Raises TokenizerError."""
    from tokenizers import Tokenizer  # noqa: PLC0415 - only where there is such a file

    try:
        return Tokenizer.from_str(text)
    except Exception as error:  # tokenizers raises nothing narrower
        raise TokenizerError(
            f"{path.name} is no tokenizer of the tokenizers library: {error}",
            where=str(path),
            remedies=["Tokenizer.save('tokenizer.json') writes one"],
        ) from error


def _named(folder: Path) -> tuple[dict[str, str], tuple[Path, ...]]:
    """What the files beside it call the special tokens. Raises TokenizerError, NotFoundError."""
    named: dict[str, str] = {}
    files = []
    for name in _BESIDE:
        path = folder / name
        if not path.is_file():
            continue
        table = read_json(path)
        if not isinstance(table, dict):
            raise TokenizerError(f"{name} is no table of settings", where=str(path), remedies=["move it away"])
        files.append(path)
        for role in ROLES:
            token = table.get(f"{role}_token")
            token = token.get("content") if isinstance(token, dict) else token
            if isinstance(token, str):
                named[role] = token
    return named, tuple(files)


FORMAT = Format(
    id="tokenizer.json",
    title="tokenizer.json of the tokenizers library",
    beside=(_NAME,),
    packages=("tokenizers",),
    fits=fits,
    read=read,
)
