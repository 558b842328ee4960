r"""How text is split before merging, by the names that llama.cpp has for it.

A GGUF file names the split and llama.cpp has it in its code, so a tokenizer.json whose split has no name there cannot
be expressed. The name is found by what the pre-tokenizer does: its steps are written out as regexes, each regex as its
alternatives, and alternatives that match the same text are one.

Some names are not here. `gpt-4o` stands for a split that tells capital letters from small ones, which llama.cpp does in
ASCII only. `seed-coder`, `ufakzeka`, `minicpm5` and others run through std::regex, which ends the process at a word of
100,000 letters.

Source: ggml-org/llama.cpp@0c1e570 src/llama-vocab.cpp (`llm_tokenizer_bpe`, `llama_vocab::impl::load`) and
src/unicode.cpp (`unicode_regex_split_custom_*`); huggingface/tokenizers@v0.22.2 tokenizers/src/pre_tokenizers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ckpt2hf.tokenizers.sentencepiece_pieces import Inexpressible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Regex = tuple[str, ...]
"""The alternatives of a regex, each in the one way that this module writes it."""

_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_GPT2: Regex = ("'s", " ?\\p{L}+", " ?\\p{N}+", r" ?[^\s\p{L}\p{N}]+", r"\s+(?!\S)", r"\s+")
_LINES: Regex = (r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+")
_ANY_CASE = "'S"
_DIGIT: Regex = (r"\p{N}",)


def _words(digits: str) -> Regex:
    """The split of Llama 3 and its kin, which differ in how many digits stay together."""
    return (_ANY_CASE, _LETTERS, digits, _SIGNS, *_LINES)


@dataclass(frozen=True, slots=True)
class PreTokenizer:
    """What llama.cpp does under a name."""

    name: str
    steps: tuple[Regex, ...]
    """Each cuts the parts that the one before has left."""
    whole: bool = False
    """Whether a part that is a token is taken as it is, without merging (`ignore_merges`)."""


PRE_TOKENIZERS = (
    PreTokenizer("gpt-2", (_GPT2,)),
    PreTokenizer("starcoder", (_DIGIT, _GPT2)),
    PreTokenizer("dbrx", (_words(r"\p{N}{1,3}"),)),
    PreTokenizer("llama-bpe", (_words(r"\p{N}{1,3}"),), whole=True),
    PreTokenizer("qwen2", (_words(r"\p{N}"),)),
    PreTokenizer(
        "qwen35",
        ((_ANY_CASE, r"[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+", r"\p{N}", r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*", *_LINES),),
    ),
)
"""Of several that do the same, the one that comes first is written."""

_SPELLINGS: Mapping[str, str] = {
    r"'(?:[sdmt]|ll|ve|re)": "'s",
    r"(?:'s|'t|'re|'ve|'m|'ll|'d)": "'s",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)": _ANY_CASE,
    r"'(?i:[sdmt]|ll|ve|re)": _ANY_CASE,
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])": _ANY_CASE,
    r" ?\p{L}++": r" ?\p{L}+",
    r" ?\p{N}++": r" ?\p{N}+",
    r" ?[^\s\p{L}\p{N}]++": r" ?[^\s\p{L}\p{N}]+",
    r"[^\r\n\p{L}\p{N}]?+\p{L}+": _LETTERS,
    r"[^\r\n\p{L}\p{N}]?+\p{L}++": _LETTERS,
    r"(?>\p{N}{1,3})": r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]++[\r\n]*": _SIGNS,
    r" ?[^\s\p{L}\p{N}]++[\r\n]*+": _SIGNS,
    r"\s*[\r\n]": r"\s*[\r\n]+",
}
"""Other ways to write an alternative. A possessive quantifier changes nothing where what follows it can match none of
what it has taken; `\\s*[\\r\\n]` takes every line's end of a run, since `\\s*` does."""
_CONTRACTIONS = ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d")
_FOLDED = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)", "'(?i:[sdmt]|ll|ve|re)")
LONG_S = "'\u017f"
"""What a regex that ignores case takes for 's: the library does, llama.cpp does not."""


class Unnamed(Inexpressible):
    """A split that has no name in llama.cpp, by the part of it that has none."""


def named(pre_tokenizer: Any) -> tuple[PreTokenizer, ...]:  # noqa: ANN401 - a part of a JSON file
    """The names that stand for the pre-tokenizer of a `tokenizer.json`. Raises Unnamed."""
    steps = tuple(_steps(pre_tokenizer))
    found = tuple(each for each in PRE_TOKENIZERS if each.steps == steps)
    if found:
        return found
    known = {alternative for each in PRE_TOKENIZERS for step in each.steps for alternative in step}
    strange = next((alternative for step in steps for alternative in step if alternative not in known), None)
    if strange is not None:
        raise Unnamed(f"llama.cpp has no name for a split with {strange}")
    raise Unnamed(f"llama.cpp has no name for a split by {' and then '.join('|'.join(step) for step in steps)}")


def folds(pre_tokenizer: Any) -> bool:  # noqa: ANN401 - a part of a JSON file
    """Whether a regex of it ignores case, so that it takes `LONG_S` for a contraction."""
    return any(
        alternative in _FOLDED
        for part in _flat(pre_tokenizer)
        for alternative in _alternatives(_pattern(part) if part.get("type") == "Split" else "")
    )


def _flat(pre_tokenizer: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401
    """The parts of it, in the order in which they are applied. Raises Unnamed where there are none."""
    if not isinstance(pre_tokenizer, dict):
        raise Unnamed("it has no pre-tokenizer")
    if pre_tokenizer.get("type") == "Sequence":
        for part in pre_tokenizer["pretokenizers"]:
            yield from _flat(part)
    else:
        yield pre_tokenizer


def _steps(pre_tokenizer: Any) -> Iterator[Regex]:  # noqa: ANN401
    """The regexes it splits by. Raises Unnamed for a part that is none, or after which bytes are not letters."""
    parts = list(_flat(pre_tokenizer))
    *before, last = parts
    if last.get("type") != "ByteLevel":
        raise Unnamed(f"its pre-tokenizer ends with {last.get('type')}, and not with ByteLevel")
    for part in before:
        yield _step(part)
    if last.get("add_prefix_space", True):
        raise Unnamed("its pre-tokenizer ByteLevel puts a space before a text (add_prefix_space)")
    if last.get("use_regex", True):
        yield _GPT2


def _step(part: dict[str, Any]) -> Regex:
    """The regex of a part before the last. Raises Unnamed."""
    kind = part.get("type")
    if kind == "Digits":
        return _DIGIT if part.get("individual_digits") else (r"\p{N}+",)
    if kind != "Split":
        raise Unnamed(f"llama.cpp has no name for its pre-tokenizer {kind}")
    regex = _regex(_pattern(part))
    behavior, inverted = str(part.get("behavior", "")).lower(), bool(part.get("invert", False))
    # What matches is kept and the rest is left out: the same where nothing is left, as with these last alternatives.
    if (behavior, inverted) == ("isolated", False) or (
        (behavior, inverted) == ("removed", True) and regex[-1:] == (r"\s+",)
    ):
        return regex
    raise Unnamed(f"llama.cpp has no name for its pre-tokenizer Split with behavior {behavior}, invert {inverted}")


def _pattern(part: dict[str, Any]) -> str:
    """The regex that a Split is said by. Raises Unnamed for one that is said by a text."""
    pattern = part.get("pattern")
    if isinstance(pattern, dict) and isinstance(pattern.get("Regex"), str):
        return str(pattern["Regex"])
    raise Unnamed(f"llama.cpp has no name for a split at {pattern!r}")


def _regex(pattern: str) -> Regex:
    """A regex by its alternatives, those that mean the same written alike."""
    found = [_SPELLINGS.get(alternative, alternative) for alternative in _alternatives(pattern)]
    if tuple(found[: len(_CONTRACTIONS)]) == _CONTRACTIONS:
        found[: len(_CONTRACTIONS)] = ["'s"]
    if found[-2:] == [r"\s+(?!\S)", r"\s"]:
        # The alternative before has taken all but the last of a run, or all of it at the end.
        found[-1] = r"\s+"
    if found[-3:] == [r"\s++\z", r"\s+(?!\S)", r"\s+"]:
        del found[-3]
    return tuple(found)


def _alternatives(pattern: str) -> list[str]:
    """The parts of a regex between the bars that stand in no group and no class."""
    found, depth, in_class, at = [""], 0, False, 0
    while at < len(pattern):
        piece = pattern[at : at + 2] if pattern[at] == "\\" else pattern[at]
        at += len(piece)
        if piece == "[":
            in_class = True
        elif piece == "]":
            in_class = False
        elif not in_class:
            depth += {"(": 1, ")": -1}.get(piece, 0)
            if piece == "|" and not depth:
                found.append("")
                continue
        found[-1] += piece
    return found
