"""`meta.pkl` of nanoGPT: a table of characters. It is read without executing anything in it.

Source: karpathy/nanoGPT@3adf61e data/shakespeare_char/prepare.py (`stoi`, `itos`, `vocab_size`), sample.py (an id for
every character of the text, and a KeyError for one that the table does not have).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.checkpoints import read_tree
from ckpt2hf.errors import CheckpointError, TokenizerError
from ckpt2hf.tokenizers.format import Format, Hints
from ckpt2hf.tokenizers.source import TokenizerSource, Unencodable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class CharacterOriginal:
    """The two tables, used as sample.py does."""

    stoi: Mapping[str, int]
    itos: Mapping[int, str]

    @property
    def library(self) -> str:
        """There is none."""
        return "a table of characters"

    def encode(self, text: str) -> list[int]:
        """The id of each character. Raises Unencodable for one that the table does not have."""
        unknown = next((character for character in text if character not in self.stoi), None)
        if unknown is not None:
            raise Unencodable(f"{unknown!r} is not among its {len(self.stoi)} characters")
        return [self.stoi[character] for character in text]

    def decode(self, ids: Sequence[int]) -> str:
        """The characters, joined."""
        return "".join(self.itos[number] for number in ids)


def fits(path: Path, head: bytes) -> bool:
    """Whether it is a pickle that speaks of characters."""
    return path.suffix == ".pkl" and b"stoi" in head


def read(path: Path, _hints: Hints) -> TokenizerSource:
    """The table in a `meta.pkl`. Raises TokenizerError, NotFoundError."""
    try:
        tree = read_tree(path)
    except CheckpointError as error:
        raise TokenizerError(
            f"{path.name} cannot be read: {error.what}", details=error.details, where=str(path)
        ) from error
    stoi, itos = (tree.get("stoi"), tree.get("itos")) if isinstance(tree, dict) else (None, None)
    if problem := _problem(stoi, itos):
        raise TokenizerError(f"{path.name} is no table of characters: {problem}", where=str(path))
    return characters(path, dict(stoi or {}), "character level")


def characters(path: Path, stoi: Mapping[str, int], title: str) -> TokenizerSource:
    """The tokenizer that gives each character its id."""
    return TokenizerSource(
        format=title,
        files=(path,),
        original=CharacterOriginal(stoi, {number: character for character, number in stoi.items()}),
        product=_product(stoi),
        specials_in_text=False,
        notes=("a text with a character that is not in the table is an error, as it was in training",),
    )


def _problem(stoi: object, itos: object) -> str | None:
    """What is wrong with the tables, if anything is."""
    if not isinstance(stoi, dict) or not isinstance(itos, dict):
        return "it has no stoi and itos"
    if not stoi or not all(isinstance(c, str) and len(c) == 1 and type(n) is int and n >= 0 for c, n in stoi.items()):
        return "stoi is not from single characters to ids"
    if {number: character for character, number in stoi.items()} != itos or len(itos) != len(stoi):
        return "itos is not stoi turned round"
    return None


def _product(stoi: Mapping[str, int]) -> Any:  # noqa: ANN401 - a class of a library that is imported here only
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers  # noqa: PLC0415 - only for such a file

    # The model has to have a name for what it does not know. Without a token of that name it raises, as it should:
    # no character is called so, because the name is longer than one.
    made = Tokenizer(models.WordLevel(vocab=dict(stoi), unk_token="<unk>"))  # noqa: S106 - no password
    made.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    made.decoder = decoders.Fuse()
    return made


FORMAT = Format(
    id="characters",
    title="character table (meta.pkl with stoi and itos)",
    beside=("meta.pkl",),
    packages=("tokenizers",),
    fits=fits,
    read=read,
)
