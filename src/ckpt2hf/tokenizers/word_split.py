r"""The library's pre-tokenizer `Whitespace`, said as the regex that it stands for.

It is `\w+|[^\w\s]+` in Rust. Transformers.js runs the same letters in JavaScript, where `\w` has only those of ASCII:
"gün" falls apart. With the classes written out, both split alike; in the library, every character of Unicode is where
it was, and a test goes through them all.

Source: huggingface/tokenizers@011340b tokenizers/src/pre_tokenizers/whitespace.rs; npm @huggingface/tokenizers 0.2.0,
`Whitespace`; UTS #18, annex C, for `\w`.
"""

from __future__ import annotations

from typing import Any

_WORD = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D"
"""Oniguruma's own `\\w` has ½ and lacks the two joiners."""
WORDS = rf"[{_WORD}]+|[^{_WORD}\p{{White_Space}}]+"
_SPLIT = {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": True}


def spelled_out(pre_tokenizer: Any) -> Any:  # noqa: ANN401 - a part of a JSON file
    """The pre-tokenizer of a `tokenizer.json` with `Whitespace` as its regex, wherever it stands."""
    if not isinstance(pre_tokenizer, dict):
        return pre_tokenizer
    if pre_tokenizer.get("type") == "Whitespace":
        return dict(_SPLIT)
    parts = pre_tokenizer.get("pretokenizers")
    return {**pre_tokenizer, "pretokenizers": list(map(spelled_out, parts))} if parts else pre_tokenizer
