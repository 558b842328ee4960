"""The built-in text on which encoders are compared: what home-made tokenizers stumble over, a kind at a time."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from ckpt2hf.tokenizers.source import Unencodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ckpt2hf.tokenizers.source import TokenizerSource

PROBES: Mapping[str, str] = {
    "empty": "",
    "one space": " ",
    "English": "The quick brown fox doesn't jump over 13 lazy dogs, does it? They're asleep; she'd know.",
    "Azerbaijani": "Bakı şəhəri gözəldir: İçərişəhər, Qız qalası və dəniz. Üzüm, çörək, ığdır, Əli bəy!",
    "Latin extensions": "Ça va, naïve façade; Größe, Straße; Łódź, žluťoučký kůň; ñandú; Þórr; ﬁn ǆ Đặng.",
    "Cyrillic and Greek": "Съешь же ещё этих мягких булок. Її ґанок. Καλημέρα, ὠχρός.",
    "right to left": "שלום עולם، مرحبا بالعالم ١٢٣، كتاب‌ها",
    "CJK": "今天天气很好。東京タワーへ行きましょう！안녕하세요, 세계. 𠮷野家",
    "Indic and Thai": "नमस्ते दुनिया, क्षत्रिय। ภาษาไทยไม่มีช่องว่าง",
    "emoji": "🙂👍🏽 👩‍👩‍👧‍👦 🇦🇿 ❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿",
    "combining marks": "e\u0301 a\u0308 \u0130i\u0307 n\u0303 \u212b \u00c5 A\u030a \ufb01 \u1e9b\u0323 q\u0307\u0323",
    "runs of spaces": "a  b   c    d     e        f\t\tg \t h",
    "spaces at the edges": "   three before and two after  ",
    "other spaces": "a\u00a0b\u2003c\u3000d\u200be\u2028f\u2029g\ufeffh\u0085i",
    "newlines": "one\ntwo\n\nthree\n\n\nfour\r\nfive\r\n\r\nsix\n  seven\n\t eight\n",
    "control characters": "a\x00b\x01c\x07d\x08e\x0bf\x0cg\x1bh\x1fi\x7fj",
    "digits": "0 7 42 123 1234 12345 1234567890 3.14159 1,000,000 2024-02-29 10:05:00 +994501234567 ½ ² Ⅷ ٣",
    "punctuation": "\"quoted\" 'single' (a) [b] {c} <d> a_b a-b a—b… «e» „f“ !!! ??? ... ---- ==== #$%&*+/@\\^`|~",
    "code": "def f(x: int) -> int:\n    if x <= 1:\n        return 1\n\treturn x*f(x-1)\n\nfor(i=0;i<n;++i)a[i]++;\n",
    "markup": '<p class="x">a &amp; b</p>\n## Title\n- [link](http://example.org/?q=1&r=%20) `code`\n',
    "mixed case": "iPhone McDonald HTTPServer camelCase snake_case SCREAMING İSTANBUL ıI ſs ẞß ŒUVRE",
    "contractions": "I'm I'M we'll WE'LL it's IT'S they've o'clock l'eau d’accord 's 't 're",
    "long word": "pneumonoultramicroscopicsilicovolcanoconiosis" * 3 + "a" * 300,
    "special tokens in text": (
        "<s>a</s> <unk> <pad> <|endoftext|>b<|bos|> [CLS] [SEP][PAD] [UNK] <|im_start|> ▁x <0x41> </w> ##y Ġz"
    ),
    "surrogates' neighbours": "\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff",
}
"""By what they are about. Each is encoded by itself."""
_OWN = 2048
"""Tokens whose own text is looked at, at most."""


def own_text(source: TokenizerSource) -> str:
    """The texts of a tokenizer's own tokens, one after another; of a large vocabulary, of some everywhere in it.

    It is the only text with all that a small vocabulary has: of the built-in ones, a table of characters refuses most.
    """
    ids = sorted(set(source.vocabulary.values()))
    parts = []
    for number in ids[:: -(-len(ids) // _OWN)]:
        with suppress(KeyError):  # an id that the tokenizer leaves out, and that has a name in the library only
            parts.append(source.original.decode([number]))
    return "".join(parts)


def spoken(source: TokenizerSource) -> str:
    """A text of several tokens: a built-in one, or else the tokenizer's own."""
    own = own_text(source)
    for text in (PROBES["Azerbaijani"], PROBES["English"], own, *PROBES.values()):
        with suppress(Unencodable):
            if len(source.original.encode(text)) > 1:
                return text
    return own
