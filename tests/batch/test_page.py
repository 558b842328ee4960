"""What the text of batch.html promises before any browser sees it."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from importlib import resources

import pytest

from ckpt2hf.report import Status
from ckpt2hf.report.html import render
from sample_batch import batch, hostile, report

PAGE = render(report((*hostile(), *batch(60).jobs), batch(5, skipped=20).skipped))
LEGIBLE = 4.5
"""The contrast of text that WCAG 2 calls sufficient (level AA)."""


class Elements(HTMLParser):
    """Every element with its attributes, and the text of scripts and style sheets."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.inside:
            self.inside[self.cdata_elem].append(data)


@pytest.fixture(scope="module")
def elements() -> Elements:
    parser = Elements()
    parser.feed(PAGE)
    return parser


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def test_the_policy_allows_exactly_what_is_in_the_page(elements: Elements) -> None:
    policy = next(a["content"] for tag, a in elements.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    *_, script = elements.inside["script"]
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": digest("".join(elements.inside["style"])),
        "script-src": digest(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_nothing_is_loaded_and_no_attribute_is_a_script(elements: Elements) -> None:
    tags = {tag for tag, _ in elements.found}
    assert not tags & {"img", "iframe", "object", "embed", "base", "video", "audio"}
    for tag, attributes in elements.found:
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "style", "srcdoc"}]
        if "href" in attributes:
            assert str(attributes["href"]).startswith("./" if tag == "a" else "data:")
    assert [a.get("type") for tag, a in elements.found if tag == "script"] == ["application/json"] * 2 + [None]


def test_the_tree_in_the_page_is_that_of_the_report(elements: Elements) -> None:
    about = report((*hostile(), *batch(60).jobs), batch(5, skipped=20).skipped)
    assert json.loads(elements.inside["script"][0]) == json.loads(json.dumps(about.as_json()))


def test_the_page_can_be_written_and_is_the_same_every_time() -> None:
    assert PAGE.encode("utf-8").decode() == PAGE
    assert "\r" not in PAGE
    assert render(report((*hostile(), *batch(60).jobs), batch(5, skipped=20).skipped)) == PAGE


@pytest.mark.parametrize(
    ("kept", "headline", "mark"),
    [
        ((Status.PROVED,), "All {} checkpoints are proved", "✓"),
        ((Status.PROVED, Status.PENDING), "{proved} of {} checkpoints are proved", "○"),
        ((Status.PROVED, Status.REFUSED), "{proved} of {} checkpoints are proved", "⊘"),
        (tuple(Status), "{proved} of {} checkpoints are proved", "✕"),
        ((), "No checkpoints were found", "✓"),
    ],
)
def test_the_headline_says_the_worst(kept: tuple[Status, ...], headline: str, mark: str) -> None:
    about = report(tuple(job for job in batch(300).jobs if job.status in kept))
    expected = headline.format(len(about.jobs), proved=about.counts["proved"])
    assert f"<i>{mark}</i> {expected}</h1>" in render(about)


def test_an_interrupted_batch_says_so() -> None:
    assert "stopped before it was through" in render(replace(batch(10), interrupted=True))


def test_every_part_of_a_reason_is_there_without_javascript() -> None:
    about = batch(300)
    page = re.sub(r"<script.*?</script>", "", render(about), flags=re.DOTALL)
    for job in about.jobs:
        for text in (job.source, job.sha256, job.target, *(job.checks or {}).values(), *job.warnings):
            assert not text or html.escape(text) in page
        if job.reason:
            for text in (job.reason.what, *job.reason.details, job.reason.where, job.reason.tried):
                assert not text or html.escape(text) in page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_on_its_background(scheme: str) -> None:
    sheet = (resources.files("ckpt2hf.report.html") / "shared.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)[:2]
    colours = dict(re.findall(r"--(\w+): (#\w{6});", light if scheme == "light" else dark))
    assert len(colours) >= 11
    for text in ("ink", "soft", "accent", "proved", "refused", "failed", "pending"):
        for ground in ("paper", "raised", "tint"):
            assert contrast(colours[text], colours[ground]) >= LEGIBLE, (text, ground)


def contrast(one: str, other: str) -> float:
    bright, dim = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def luminance(colour: str) -> float:
    """As WCAG 2 defines it."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
