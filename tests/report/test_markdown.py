"""Text of anybody in a card: it is shown, and does nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from markdown_it import MarkdownIt

from ckpt2hf.report.card.markdown import bullets, code, prose, table

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](https://evil.example)",
    "![picture](https://evil.example/x.png)",
    "https://evil.example/a",
    "www.evil.example",
    "<https://evil.example>",
    "[a]: https://evil.example",
    "`code` ``more``",
    "`",
    "a | b \\| c \\\\| d",
    "a\n\n# heading\n- item",
    "# heading",
    "- item",
    "1. item",
    "+ item",
    "=====",
    "---",
    "***",
    "> quote",
    "~~~",
    "*bold* _it_ __b__ ~~gone~~",
    "&lt;b&gt; &#60;",
    "$$x$$",
    "x\u202egpj.exe",
    "\x1b[31mred",
    "\ud800",
    "\\",
    "\\`\\`",
    "",
    " ",
]
PARSER = MarkdownIt("js-default", {"html": True})
SHARED = {"paragraph", "inline", "text", "text_special", "code_inline", "list_item", "bullet_list", "tr", "td", "th",
          "table", "thead", "tbody"}  # fmt: skip


def kinds(markdown: str) -> set[str]:
    """Every kind of thing in it."""
    tokens = PARSER.parse(markdown)
    every = [*tokens, *(child for token in tokens for child in token.children or ())]
    return {token.type.removesuffix("_open").removesuffix("_close") for token in every}


def words(markdown: str) -> str:
    """What a reader sees of one paragraph."""
    inline = next(token for token in PARSER.parse(markdown) if token.type == "inline")
    return "".join(child.content for child in inline.children or ())


@pytest.mark.parametrize("write", [prose, code])
@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_but_text_comes_out(text: str, write: object) -> None:
    assert callable(write)
    written = write(text)
    for markdown in (f"so: {written}\n", bullets([written]), table(("a", "b"), [(written, "x"), ("y", written)])):
        assert kinds(markdown) <= SHARED, markdown
    cells = [token for token in PARSER.parse(table(("a", "b"), [(written, "x")])) if token.type == "td_open"]
    assert len(cells) == 2


@given(some.text(max_size=60))
def test_a_reader_sees_what_was_said(text: str) -> None:
    plain = " ".join(text.split())
    if "://" in plain or not plain.isprintable() or not plain:
        return
    assert words(f"so: {prose(plain)}") == f"so: {plain}"
    assert words(f"so: {code(plain)}").strip() == f"so: {plain}"
    assert kinds(f"so: {prose(plain)}\n") <= SHARED


def test_no_url_is_left_that_a_reader_would_make_a_link_of() -> None:
    for text in ("see https://evil.example", "HTTP://EVIL.example", "www.evil.example", "WWW.evil.example"):
        assert "://" not in prose(text)
        assert "www." not in prose(text).lower()
    assert "@" not in prose("me@evil.example")
    assert "self.sa" not in prose("x + self.sa(x)")
    assert prose("agree to 1.3e-05. So") == "agree to 1.3e-05. So"


def test_secrets_of_urls_are_hidden() -> None:
    for write in (prose, code):
        written = write("read from s3://key:secret@host/x?signature=abc")
        assert "secret" not in written
        assert "signature" not in written
    assert prose("is it so? yes") == "is it so? yes"


def test_a_long_text_is_cut() -> None:
    assert len(prose("a" * 10_000)) < 600
    assert len(code("a" * 10_000)) < 600
