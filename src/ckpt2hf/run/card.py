"""The model card of a converted directory, written again from its conversion.json.

The only facts that are not in the report are the words of a person, and those live in the card's own front matter: so
conversion.json stays as the conversion left it. The card is replaced first, then SHA256SUMS. A crash in between leaves
a card whose digest is another one, which `sha256sum -c` and `ckpt2hf verify` both tell, and which the next run knows
for its own, because it is what the report and its front matter give.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ckpt2hf.errors import NotFoundError, UsageError, VerificationError
from ckpt2hf.output import SUMS, alone_in, read_sums, replace_whole, sums_text
from ckpt2hf.remote import is_remote
from ckpt2hf.report import model_card, read_report
from ckpt2hf.report.card import CardWords, words_of_card
from ckpt2hf.run.convert import CARD, REPORT
from ckpt2hf.sources import sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    from ckpt2hf.report import Report

_LARGEST = 1 << 22
"""Bytes of a card that is read."""


def write_card(directory: Path, words: CardWords, *, force: bool = False) -> Path:
    """The path of the card. What `words` leave open is taken from the front matter of the card that is there.

    A directory without sums gets none: nothing would show whether the files are still those of the conversion. Raises
    NotFoundError, UsageError where a person has edited the card (unless `force`), VerificationError where the report
    is not the one of the conversion, OutputError.
    """
    if is_remote(directory):
        raise UsageError("a card is written in a local directory", where=str(directory))
    if not directory.is_dir():
        raise NotFoundError(f"there is no directory {directory}", where=str(directory))
    place = directory / CARD
    with alone_in(directory):
        report = read_report(directory / REPORT)
        sums = sums_of(directory)
        said = said_in(directory, report, sums, force=force)
        text = model_card(report, words.over(said))
        replace_whole(place, text, _partial(place))
        if sums is not None:
            digest = hashlib.sha256(text.encode()).hexdigest()
            replace_whole(directory / SUMS, sums_text({**sums, CARD: digest}), _partial(directory / SUMS))
    return place


def said_in(directory: Path, report: Report, sums: dict[str, str] | None, *, force: bool) -> CardWords:
    """What a person has said in the card that is there. Raises UsageError where the rest was edited, too."""
    place = directory / CARD
    old = _read(place)
    said = _said(old, place)
    if old is not None and not force:
        _require_ours(old, place, report, said, sums)
    return said


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def sums_of(directory: Path) -> dict[str, str] | None:
    """The digests of the directory. Raises UsageError, and VerificationError unless the report is what they say."""
    try:
        sums = read_sums(directory)
    except ValueError as error:
        raise UsageError(
            f"{SUMS} cannot be used: {error}",
            where=str(directory / SUMS),
            remedies=["ckpt2hf convert   makes the directory again", "move the file away; it is not made again"],
        ) from error
    if sums is not None and sums.get(REPORT) != sha256_of(directory / REPORT):
        raise VerificationError(
            f"{REPORT} is not the file that {SUMS} names",
            details=["what is made of it would tell what the conversion did not"],
            where=str(directory),
            remedies=["ckpt2hf convert   makes the directory again", "restore the file"],
        )
    return sums


def _read(place: Path) -> bytes | None:
    """The card that is there, if one is. Raises UsageError, NotFoundError."""
    if not place.exists():
        return None
    try:
        if place.stat().st_size > _LARGEST:
            raise UsageError(f"{CARD} is too large to be read", where=str(place), remedies=["move it away"])
        return place.read_bytes()
    except OSError as error:
        raise NotFoundError(f"cannot read {CARD}", details=[str(error)], where=str(place)) from error


def _said(old: bytes | None, place: Path) -> CardWords:
    """What its front matter says. Raises UsageError where that cannot be kept."""
    try:
        return words_of_card((old or b"").decode())
    except ValueError as error:
        raise UsageError(
            f"the front matter of {CARD} cannot be kept: {error}",
            where=str(place),
            remedies=["correct it there", "delete the file, and say --license, --language and --model-name again"],
        ) from error


def _require_ours(old: bytes, place: Path, report: Report, said: CardWords, sums: dict[str, str] | None) -> None:
    """Raises UsageError where a person has edited the card."""
    if sums is not None and sums.get(CARD) == hashlib.sha256(old).hexdigest():
        return
    if old == model_card(report, said).encode():
        return
    raise UsageError(
        f"{CARD} was edited since ckpt2hf wrote it",
        where=str(place),
        remedies=["--force   replaces it, and keeps license, language and model_name of its front matter"],
    )
