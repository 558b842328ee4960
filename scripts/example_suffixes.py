"""Azerbaijani suffixes, which follow the vowels of the word they join."""

from __future__ import annotations

VOWELS = "aıoueəiöü"
TWOFOLD = dict(zip(VOWELS, "aaaaəəəəə", strict=True))
FOURFOLD = dict(zip(VOWELS, "ııuuiiiüü", strict=True))


def last_vowel(word: str) -> str:
    """The vowel that decides about the suffixes of a word."""
    return next(letter for letter in reversed(word) if letter in VOWELS)


def _soft(word: str) -> str:
    """The stem before a vowel: the final k or q of a longer word softens (uşaq, uşağa)."""
    if word[-1] in "kq" and sum(letter in VOWELS for letter in word) > 1:
        return word[:-1] + {"k": "y", "q": "ğ"}[word[-1]]
    return word


def at(word: str) -> str:
    """In, on or at something: bağda."""
    return f"{word}d{TWOFOLD[last_vowel(word)]}"


def than(word: str) -> str:
    """From or than something: fildən."""
    return f"{at(word)}n"


def many(word: str) -> str:
    """The plural: uşaqlar."""
    return f"{word}l{TWOFOLD[last_vowel(word)]}r"


def to(word: str) -> str:
    """Towards something: məktəbə, bacıya."""
    vowel = TWOFOLD[last_vowel(word)]
    return f"{word}y{vowel}" if word[-1] in VOWELS else f"{_soft(word)}{vowel}"


def the(word: str) -> str:
    """The definite object: kitabı, almanı."""
    vowel = FOURFOLD[last_vowel(word)]
    return f"{word}n{vowel}" if word[-1] in VOWELS else f"{_soft(word)}{vowel}"


def of(word: str) -> str:
    """The owner: ananın, dördün."""
    return f"{the(word)}n"


def its(word: str) -> str:
    """The thing owned: alması, kitabı."""
    vowel = FOURFOLD[last_vowel(word)]
    return f"{word}s{vowel}" if word[-1] in VOWELS else f"{_soft(word)}{vowel}"


def is_(word: str) -> str:
    """The statement that something is so: soyuqdur."""
    return f"{word}d{FOURFOLD[last_vowel(word)]}r"


def sentence(text: str) -> str:
    """The text with a capital first letter, which for i is İ in Azerbaijani."""
    return {"i": "İ", "ı": "I"}.get(text[0], text[0].upper()) + text[1:]
