"""What a person can say about a model for its card. Weights show nothing of it, so nothing is guessed."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from ckpt2hf.report.card.licenses import LICENSES
from ckpt2hf.report.wording import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OTHER = "other"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,95}")
# A user before the host would be published with the card.
_LINK = re.compile(r"LICENSE(?:\.md)?|https?://[^\s/@?#]+(?:[/?#][^\s<>\"]*)?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*|code|multilingual")
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class License:
    """A licence as the Hub knows it."""

    id: str
    """One of the Hub's, or `other`."""
    name: str | None = None
    """Of another one."""
    link: str | None = None
    """Where the text of that one is: a URL, or `LICENSE` in the same repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWords:
    """What is said about a model; None where nobody says anything."""

    license: License | None = None
    languages: tuple[str, ...] | None = None
    """Codes of ISO 639, such as `az`."""
    model_name: str | None = None

    def over(self, other: CardWords) -> CardWords:
        """Both; where they speak of the same, this one counts."""
        said = {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}
        return replace(other, **said)


def license_of(text: str) -> License:
    """The licence of `mit`, or of `NAME=LINK` for one that the Hub has no identifier for. Raises ValueError."""
    name, equals, link = text.strip().partition("=")
    if not equals and name in LICENSES:
        return License(name)
    if not equals:
        close = difflib.get_close_matches(name.lower(), LICENSES, n=1)
        near = f"did you mean {close[0]}? Else " if close else ""
        raise ValueError(
            f"{text!r} is no license id of the Hub; {near}say what it is called and where it is: NAME=LINK"
        )
    if not _NAME.fullmatch(name) or name in LICENSES or name == _OTHER:
        raise ValueError(f"the name of another license has small letters, digits, '.' and '-', unlike {name!r}")
    if not _LINK.fullmatch(link):
        raise ValueError(f"the text of a license is at https://…, or in LICENSE or LICENSE.md, not {link!r}")
    return License(_OTHER, name, link)


def languages_of(codes: Iterable[str]) -> tuple[str, ...]:
    """These codes, each once. Raises ValueError."""
    found = tuple(dict.fromkeys(code.strip() for code in codes))
    if wrong := [code for code in found if not _LANGUAGE.fullmatch(code)]:
        raise ValueError(f"a language is a code of ISO 639, such as az or en, not {wrong[0]!r}")
    return found


def model_name_of(text: str) -> str:
    """A name in one line. Raises ValueError."""
    name = text.strip()
    if not name or len(name) > _LONGEST_NAME or visible(name) != name:
        raise ValueError(f"the name of a model is one line of at most {_LONGEST_NAME} visible characters")
    return name


def words_in(front: Mapping[str, Any]) -> CardWords:
    """What the front matter of a card says. Raises ValueError where it says so in a way that we do not write."""
    return CardWords(
        license=_license_in(front),
        languages=_languages_in(front.get("language")),
        model_name=None if front.get("model_name") is None else model_name_of(_text(front, "model_name")),
    )


def _license_in(front: Mapping[str, Any]) -> License | None:
    if front.get("license") is None:
        return None
    if front["license"] != _OTHER:
        return license_of(_text(front, "license"))
    return license_of(f"{_text(front, 'license_name')}={_text(front, 'license_link')}")


def _languages_in(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    given = value if isinstance(value, list) else [value]
    codes = [code for code in given if isinstance(code, str)]
    if len(codes) < len(given):
        raise ValueError(f"language is a list of codes, not {value!r}")
    return languages_of(codes)


def _text(front: Mapping[str, Any], key: str) -> str:
    value = front.get(key)
    if not isinstance(value, str):
        raise ValueError(f"{key} is a text, not {value!r}")  # noqa: TRY004 - of a file, not of a caller
    return value
