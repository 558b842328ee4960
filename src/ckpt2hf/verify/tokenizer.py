"""Whether the written tokenizer gives what the encoder of the training run gives, on every kind of text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.errors import VerificationError
from ckpt2hf.tokenizers import CONFIG, PROBES, TOKENIZER, LibraryOriginal, Unencodable, encoded, own_text, tables
from ckpt2hf.verify.readback import read_json
from ckpt2hf.verify.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ckpt2hf.tokenizers import Original, Tokenizer
    from ckpt2hf.verify.verdict import Number

_SHOWN = 40
"""Characters of a text that are shown, and ids of a list."""


def check_tokenizer(
    directory: Path, tokenizer: Tokenizer, texts: Mapping[str, str], *, transformers: bool
) -> tuple[Check, ...]:
    """Every check of a written tokenizer. `texts` are the user's own; the built-in ones are always looked at.

    With `transformers` it is loaded as a user would, by `AutoTokenizer`; else by the tokenizers library alone.
    """
    checks = [_files(directory, tokenizer)]
    if not checks[0].passed:
        return tuple(checks)
    try:
        encoder = _by_transformers(directory) if transformers else _by_library(directory)
    except Exception as error:  # noqa: BLE001 - whatever two libraries raise about a file they do not like
        said = f"it does not load: {type(error).__name__}: {error}"
        return (*checks, Check("tokenizer loads", passed=False, summary=said))
    if isinstance(encoder, _Auto):
        checks.append(_settings(encoder, tokenizer))
    own = {"its own tokens": own_text(tokenizer.source)}
    seen = _compared(encoder, tokenizer, {**PROBES, **own, **texts})
    return (*checks, _encodes(seen, tokenizer), _decodes(seen, tokenizer), _keeps(seen))


def _files(directory: Path, tokenizer: Tokenizer) -> Check:
    """Whether the files say what was planned."""
    planned, problems = tables(tokenizer), []
    for name, table in planned.items():
        try:
            if read_json(directory / name) != table:
                problems.append(f"{name} is not as planned")
        except VerificationError as error:
            problems.append(error.what)
    said = f"{', '.join(planned)} as planned"
    return Check("tokenizer files", not problems, "; ".join(problems) or said, {"files": len(planned)})


@dataclass(frozen=True, slots=True)
class _Auto:
    """A tokenizer as transformers loads it."""

    tokenizer: Any

    @property
    def library(self) -> str:
        return "transformers"

    def encode(self, text: str) -> list[int]:
        try:
            ids: list[int] = self.tokenizer(text, verbose=False)["input_ids"]
        except Exception as error:  # tokenizers raises nothing narrower
            raise Unencodable(str(error)) from error
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids))
        return text


def _by_library(directory: Path) -> LibraryOriginal:
    from tokenizers import Tokenizer  # noqa: PLC0415 - only where there is a tokenizer

    loaded = Tokenizer.from_file(str(directory / TOKENIZER))
    config = read_json(directory / CONFIG)
    loaded.encode_special_tokens = bool(config["split_special_tokens"])
    return LibraryOriginal(loaded)


def _by_transformers(directory: Path) -> _Auto:
    from ckpt2hf.verify.huggingface import load_tokenizer  # noqa: PLC0415 - transformers, which only one level needs

    return _Auto(load_tokenizer(directory))


def _settings(encoder: _Auto, tokenizer: Tokenizer) -> Check:
    """Whether the loaded tokenizer knows its special tokens and its length, and gives a model only what it takes."""
    loaded = encoder.tokenizer
    problems = []
    for role in ("bos", "eos", "pad", "unk"):
        special = next((each for each in tokenizer.specials if each.role == role), None)
        found, wanted = getattr(loaded, f"{role}_token_id"), special.id if special else None
        if found != wanted:
            problems.append(f"{role}_token_id is {found}, planned {wanted}")
    if loaded.model_max_length != tokenizer.context:
        problems.append(f"model_max_length is {loaded.model_max_length}, planned {tokenizer.context}")
    if len(loaded) > tokenizer.rows:
        problems.append(f"it has {len(loaded)} tokens, and the embedding {tokenizer.rows} rows")
    surplus = set(loaded("").keys()) - {"input_ids", "attention_mask"}
    if surplus:
        problems.append(f"it gives the model {', '.join(sorted(surplus))} as well")
    named = [f"{each.role} {each.token!r} ({each.id})" for each in tokenizer.specials]
    said = f"{type(loaded).__name__}, {len(loaded)} tokens, {', '.join(named) or 'no special tokens'}"
    return Check("tokenizer loads", not problems, "; ".join(problems) or said, {"tokens": len(loaded)})


@dataclass(frozen=True, slots=True)
class _Seen:
    """One text, by both encoders; None where an encoder refuses it."""

    about: str
    text: str
    wanted: list[int] | None
    found: list[int] | None
    wanted_text: str = ""
    found_text: str = ""


def _compared(encoder: Original, tokenizer: Tokenizer, texts: Mapping[str, str]) -> list[_Seen]:
    original = tokenizer.source.original
    seen = []
    for about, text in texts.items():
        wanted, found = encoded(original, text), encoded(encoder, text)
        decoded = (original.decode(wanted), encoder.decode(wanted)) if wanted is not None else ("", "")
        seen.append(_Seen(about, text, wanted, found, *decoded))
    return seen


def _encodes(seen: Sequence[_Seen], tokenizer: Tokenizer) -> Check:
    """Whether each text has the ids it had in training."""
    library = tokenizer.source.original.library
    wrong = [each for each in seen if each.found != each.wanted]
    refused = sum(each.wanted is None for each in seen)
    count = sum(len(each.wanted or ()) for each in seen)
    numbers: dict[str, Number] = {"texts": len(seen), "ids": count, "refused": refused, "different": len(wrong)}
    if not wrong:
        also = f", {refused} of them refused by both" if refused else ""
        return Check("tokenizer encodes", True, f"{len(seen)} texts as {library} does, {count} ids{also}", numbers)
    first = wrong[0]
    what = f"{len(wrong)} of {len(seen)} texts differ from {library}; the first, {first.about}: {_brief(first.text)}"
    said = f"{what} is {_listed(first.found)} instead of {_listed(first.wanted)}"
    return Check("tokenizer encodes", False, said, {**numbers, "first": first.about})


def _decodes(seen: Sequence[_Seen], tokenizer: Tokenizer) -> Check:
    """Whether the ids of each text become the text they became in training."""
    library = tokenizer.source.original.library
    known = [each for each in seen if each.wanted is not None]
    wrong = [each for each in known if each.found_text != each.wanted_text]
    numbers: dict[str, Number] = {"texts": len(known), "different": len(wrong)}
    if not wrong:
        return Check("tokenizer decodes", True, f"{len(known)} texts as {library} does", numbers)
    first = wrong[0]
    what = f"{len(wrong)} of {len(known)} texts differ from {library}; the first, {first.about}"
    said = f"{what}: {_brief(first.found_text)} instead of {_brief(first.wanted_text)}"
    return Check("tokenizer decodes", False, said, {**numbers, "first": first.about})


def _keeps(seen: Sequence[_Seen]) -> Check:
    """What this tokenizer loses of a text by encoding and decoding it: as it did in training, so no mistake."""
    known = [each for each in seen if each.wanted is not None]
    changed = [each for each in known if each.wanted_text != each.text]
    numbers: dict[str, Number] = {"texts": len(known), "changed": len(changed)}
    name = "tokenizer keeps text"
    if not changed:
        return Check(name, True, f"{len(known)} texts come back as they were", numbers)
    kinds = dict.fromkeys(change(each.text, each.wanted_text) for each in changed)
    plain = next((each for each in changed if each.about in ("English", "Azerbaijani")), changed[0])
    shown = "{} comes back as {}".format(*map(_brief, _apart(plain.text, plain.wanted_text)))
    said = f"this tokenizer does not keep {', '.join(kinds)}: {shown}, as it did in training"
    return Check(name, True, said, {**numbers, "changes": ", ".join(kinds)})


def change(text: str, back: str) -> str:
    """What encoding and decoding a text did not keep."""
    before, after = "".join(text.split()), "".join(back.split())
    if before == after:
        return "spaces"
    plain = [unicodedata.normalize("NFKC", some).casefold() for some in (before, after)]
    return "the form of letters" if plain[0] == plain[1] else "every character"


def _apart(one: str, other: str) -> tuple[str, str]:
    """Two texts from shortly before the first place where they differ."""
    at = next((k for k, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, at - _SHOWN // 4)
    return ("…" if start else "") + one[start:], ("…" if start else "") + other[start:]


def _brief(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")


def _listed(ids: list[int] | None) -> str:
    if ids is None:
        return "refused"
    return str(ids[:_SHOWN])[:-1] + ", …]" if len(ids) > _SHOWN else str(ids)
