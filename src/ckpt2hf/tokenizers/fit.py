"""Whether a tokenizer belongs to a model, and which of its tokens begin, end and pad a text."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckpt2hf.errors import TokenizerError
from ckpt2hf.tokenizers.source import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ckpt2hf.tokenizers.source import TokenizerSource

NONE = "none"
"""What `--eos-token` takes to say that there is none."""
CONVENTION: Mapping[str, tuple[str, ...]] = {
    "bos": ("<s>", "<bos>", "[BOS]", "<|bos|>", "<|begin_of_text|>", "<|startoftext|>"),
    "eos": ("</s>", "<eos>", "[EOS]", "<|eos|>", "<|endoftext|>", "<|end_of_text|>"),
    "pad": ("<pad>", "[PAD]", "<|pad|>", "<|padding|>"),
    "unk": ("<unk>", "[UNK]", "<|unk|>"),
}
"""What the world calls such tokens: one of these, marked as special, is taken for what it is called."""
_NEAREST: Mapping[str, tuple[str, ...]] = {"eos": ("[SEP]",), "bos": ("[CLS]",)}
"""What is proposed, and never taken by itself, where a tokenizer was made for another kind of model."""


@dataclass(frozen=True, slots=True)
class Special:
    """A token with a task."""

    role: str
    """`bos`, `eos`, `pad` or `unk`."""
    token: str
    id: int
    origin: str
    """Who says so, such as `--eos-token` or `tokenizer_config.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenizer:
    """A tokenizer that fits a model, and all that will be written of it."""

    source: TokenizerSource
    specials: tuple[Special, ...]
    rows: int
    """Of the embedding."""
    context: int
    """The longest text the model was trained on, in tokens."""
    notes: tuple[str, ...]

    @property
    def token_ids(self) -> dict[str, int | None]:
        """What the model's settings say: `bos_token_id`, `eos_token_id`, null where there is none, and padding."""
        known = {f"{special.role}_token_id": special.id for special in self.specials if special.role != "unk"}
        return {"bos_token_id": None, "eos_token_id": None, **known}


def fitted(
    source: TokenizerSource,
    *,
    rows: int,
    context: int,
    said: Mapping[str, str | None],
    ids: Mapping[str, int | None],
) -> Tokenizer:
    """The tokenizer for a model with so many rows in its embedding.

    `said` is the user's token for a role, None for none at all; `ids` is what the checkpoint or the user gives as
    `eos_token_id` and the like. Raises TokenizerError for a tokenizer that is not this model's, and for a token that
    does not exist.
    """
    vocabulary = source.vocabulary
    _require_rows(source, vocabulary, rows)
    notes = [*source.notes, *_rows_left(vocabulary, rows)]
    specials = []
    for role in ROLES:
        if role in said:
            special = _told(source, role, said[role])
        elif (special := _by_id(role, ids, vocabulary, rows, notes)) is None:
            special = _by_name(source, role, vocabulary, notes)
        if special is not None:
            specials.append(special)
    return Tokenizer(source=source, specials=tuple(specials), rows=rows, context=context, notes=tuple(notes))


def _require_rows(source: TokenizerSource, vocabulary: Mapping[str, int], rows: int) -> None:
    """Raises TokenizerError where a token has no row in the embedding."""
    outside = sorted((number, token) for token, number in vocabulary.items() if number >= rows)
    if outside:
        shown = [f"{number:6} {token!r}" for number, token in outside[:4]]
        more = [f"and {len(outside) - 4} more"] if len(outside) > 4 else []  # noqa: PLR2004 - as many as are shown
        raise TokenizerError(
            f"the tokenizer has ids up to {outside[-1][0]}, and the model's embedding has {rows} rows",
            details=[*shown, *more],
            where=", ".join(map(str, source.files)),
            tried=source.format,
            remedies=["--tokenizer FILE   (the one the model was trained with)", "--tokenizer none"],
        )


def _rows_left(vocabulary: Mapping[str, int], rows: int) -> Iterator[str]:
    """What to say of rows that no token uses. They are kept: the model's logits have a value for each."""
    used = max(vocabulary.values(), default=-1) + 1
    if used < rows:
        yield f"{rows - used} of the {rows} rows of the embedding belong to no token; they are kept"


def _told(source: TokenizerSource, role: str, token: str | None) -> Special | None:
    """What the user says. Raises TokenizerError for a token that does not exist."""
    if token is None:
        return None
    vocabulary = source.vocabulary
    if token not in vocabulary:
        raise TokenizerError(
            f"the tokenizer has no token {token!r}",
            where=", ".join(map(str, source.files)),
            tried=f"--{role}-token",
            remedies=[f"--{role}-token '{near}'" for near in proposed(source, role, token)] or [f"--{role}-token none"],
        )
    return Special(role, token, vocabulary[token], f"--{role}-token")


def _by_id(
    role: str, ids: Mapping[str, int | None], vocabulary: Mapping[str, int], rows: int, notes: list[str]
) -> Special | None:
    """What an id stands for that the checkpoint or the user gives. One that stands for nothing is left out and told."""
    name = f"{role}_token_id"
    number = ids.get(name)
    if number is None or not 0 <= number < rows:  # one outside the embedding is told of by the plan
        return None
    token = next((token for token, found in vocabulary.items() if found == number), None)
    if token is None:
        notes.append(f"{name} {number} is no token of the tokenizer and was left out")
        return None
    return Special(role, token, number, name)


def _by_name(source: TokenizerSource, role: str, vocabulary: Mapping[str, int], notes: list[str]) -> Special | None:
    """What the tokenizer's own files name, if it exists, else what a special token is called."""
    token = source.named.get(role)
    if token is not None and token in vocabulary:
        return Special(role, token, vocabulary[token], source.files[-1].name)
    if token is not None:
        near = proposed(source, role, token)
        proposal = f"; perhaps --{role}-token '{near[0]}'" if near else ""
        notes.append(f"the {role} token {token!r} that its files name does not exist and was left out{proposal}")
        return None
    special = source.special
    called = [name for name in CONVENTION[role] if name in special]
    return Special(role, called[0], vocabulary[called[0]], "its name") if len(called) == 1 else None


def proposed(source: TokenizerSource, role: str, token: str) -> list[str]:
    """Existing special tokens that may be meant: those for this role first, then those that look like it."""
    special = source.special
    usual = [name for name in (*CONVENTION[role], *_NEAREST.get(role, ())) if name in special]
    return list(dict.fromkeys([*usual, *difflib.get_close_matches(token, special, n=2)]))
