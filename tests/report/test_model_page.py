"""What the text of a model's page promises before any browser sees it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from ckpt2hf.report.html import ModelFile, render_model
from ckpt2hf.report.html.plots.quality import Mark, quality_plot
from ckpt2hf.report.wording import LEVELS
from sample_model import CHECKS, TOKENS, alike, files, form, hostile, model, various

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ckpt2hf.report import Report

FORMS = (
    form("onnx", 2_544_248, None),
    form("onnx-fp16", 1_403_929, 1.27903148029833e-07),
    form("onnx-q8", 869_715, 0.00017364517631559927),
)


class Page(HTMLParser):
    """Elements with their attributes, the values of numbers, and all text outside of style sheets."""

    def __init__(self, report: Report, found: list[ModelFile] | None = None) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.style = ""
        self.words: list[str] = []
        self.html = render_model(report, files(report) if found is None else found, "az-mini-hf")
        self.feed(self.html)
        self.text = " ".join(" ".join(self.words).split())
        self.numbers = [float(str(a["value"])) for tag, a in self.elements if tag == "data"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.style += data
        else:
            self.words.append(data)


def measured(tree: Any, name: str = "") -> Iterator[float]:
    """Every number of checks, sizes and prices in a tree of conversion.json, true and false apart."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from measured(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from measured(value, name)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield tree


def test_the_policy_allows_the_style_sheet_and_nothing_else() -> None:
    page = Page(model(FORMS))
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("report", [model(FORMS), model(), hostile()], ids=["forms", "none", "hostile"])
def test_nothing_is_loaded_and_nothing_runs(report: Report) -> None:
    page = Page(report)
    assert not {tag for tag, _ in page.elements} & {"script", "img", "iframe", "object", "embed", "base", "a", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"src", "style", "srcdoc"}]
        assert "href" not in attributes or (tag == "link" and attributes["href"] == "data:,")


def test_every_number_that_was_measured_is_there_with_all_its_digits() -> None:
    report = model(FORMS)
    tree = json.loads(json.dumps(report.lasting()))
    shown = set(Page(report).numbers)
    for check in tree["verdict"]["checks"] + tree["tokenizer"]["checks"]:
        assert set(measured(check["numbers"])) <= shown, check["name"]
    for each in tree["stages"]:
        for name in ("price", "bits_per_weight", "matrix_bits", "settings", "files", "tokens"):
            assert set(measured(each[name])) <= shown, (each["id"], name)
    assert {file["bytes"] for file in [*tree["files"], *tree["source"]["files"]]} <= shown


def test_no_number_of_the_page_is_made_up() -> None:
    report = model(FORMS)
    known = set(measured(json.loads(json.dumps(report.lasting()))))
    known.add(sum(math.prod(tensor.shape) for tensor in report.tensors))
    assert set(Page(report).numbers) <= known


def test_everything_the_report_says_is_said() -> None:
    report = model(FORMS)
    text = Page(report).text
    for fact in report.facts:
        assert f"where {fact.field} is" in text
    for each in report.stages:
        told = [each.id, each.title, each.files[0].name, *each.notes, each.kept[0].why, each.kept[0].name]
        assert not [words for words in told if words not in text]
    said = [report.rewrites[0].why, report.health[0].message, *report.notes, report.left_out[0].name, "12 tensors"]
    said += [report.source.container, report.dialect.reason, report.dialect.source, "6" * 64, "[PAD]", "another note"]
    assert not [words for words in said if words not in text]
    assert "ckpt2hf verify az-mini-hf --against 'runs/mini model.pt'" in text
    assert "AutoModelForCausalLM.from_pretrained(place)" in text


def test_what_a_person_decided_comes_first_and_the_family_is_folded_away() -> None:
    html = Page(model()).html
    order = [html.index(f"where {name} is") for name in ("attention_scale", "context", "norm_eps", "layers", "d_model")]
    assert order == sorted(order)
    assert html.index("<summary>", order[3]) < order[4]
    assert "a person decided" in html


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_says_what_it_proves_and_what_it_does_not(level: str) -> None:
    report = model()
    text = Page(replace(report, verdict=replace(report.verdict, level=level))).text
    assert LEVELS[level][0] in text
    assert LEVELS[level][1] in text
    assert ("That it computes the same logits" in text) == (level != "logits")
    assert ("That its weights are those of the checkpoint" in text) == (level == "structure")
    assert ("compared on 160 tokens, up to position 8 of" in text) == (level == "logits")
    assert "attention_scale : a person's word" in text
    assert (f"--level {level}" in text) == (level != "logits")


def test_a_verdict_that_is_negative_heads_the_page() -> None:
    report = model()
    failed = replace(CHECKS[1], passed=False)
    html = Page(replace(report, verdict=replace(report.verdict, proved=False, checks=(CHECKS[0], failed)))).html
    assert '<h1 class="failed"><i>✕</i> It was not proved</h1>' in html
    assert "Not as it should be: float32 logits." in html
    assert LEVELS["logits"][0] not in html


def test_without_forms_there_are_no_plots_and_the_way_to_get_some() -> None:
    page = Page(model())
    assert "ckpt2hf quantize az-mini-hf --to onnx-q8" in page.text
    assert not [tag for tag, _ in page.elements if tag in {"svg", "figure"}]


def test_a_class_that_has_no_forms_is_not_sent_for_some() -> None:
    text = Page(replace(model(), target="Cohere2ForCausalLM")).text
    assert "makes none of this class" in text
    assert "ckpt2hf quantize" not in text


def test_no_section_is_empty() -> None:
    bare = replace(model(), tokenizer=None, health=(), notes=(), rewrites=(), left_out=())
    page = Page(bare)
    sections = [a["id"] for tag, a in page.elements if tag == "section"]
    assert {"tokenizer", "cautions"}.isdisjoint(sections)
    assert "Nothing: every number of the checkpoint is there" in page.text
    assert "How text becomes token ids" in page.text
    assert not re.search(r"</h2>\s*</section>", page.html)


def test_a_tokenizer_that_is_not_proved_is_said_not_to_be() -> None:
    assert "That the tokenizer is that of the training. Not held: tokenizer loads." in Page(model()).text


def test_only_exact_forms_need_no_plot() -> None:
    page = Page(model((FORMS[0],)))
    assert not [tag for tag, _ in page.elements if tag == "svg"]
    assert "proved" in page.text


def test_what_was_measured_on_different_tokens_is_not_said_to_be_alike() -> None:
    other = replace(FORMS[1], tokens=replace(TOKENS, kind="drawn", name=""))
    assert "not measured on the same tokens" in Page(model((other, FORMS[2]))).text.replace("<b>", "")
    assert "All were measured on the same 4,160 tokens" in Page(model(FORMS)).text


def test_a_price_that_is_no_number_is_told_and_not_drawn() -> None:
    price = FORMS[2].price
    assert price
    lost = replace(FORMS[2], id="lost", price=replace(price, mean_kl=math.nan, logit_error=math.inf))
    page = Page(model((*FORMS, lost)), [])
    assert "Not shown, because its price is no number: lost" in page.text


def test_a_file_that_is_gone_or_has_another_size_is_told_at_the_top() -> None:
    report = model(FORMS)
    found = [ModelFile("model.safetensors", 5, "a" * 64), ModelFile("config.json", None, "b" * 64)]
    html = Page(report, found).html
    before = html[: html.index("How to load it")]
    assert "<code>config.json</code> is not there" in before
    assert "<code>model.safetensors</code> has another size than conversion.json says" in before
    assert "is not there" not in Page(report).html


def test_the_page_can_be_written_and_is_the_same_every_time() -> None:
    page = Page(hostile())
    assert page.html.encode("utf-8").decode() == page.html
    assert Page(hostile()).html == page.html


def test_secrets_of_urls_are_left_out() -> None:
    report = model()
    source = replace(report.source, path="https://me:word@host/ckpt.pt?token=abc")
    html = Page(replace(report, source=source)).html
    assert "https://…@host/ckpt.pt?…" in html
    assert "word@" not in html
    assert "abc" not in html


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [358.0, 960.0])
def test_twenty_forms_have_room_whatever_they_are(width: float, seed: int) -> None:
    for stages in (alike(20, seed), various(20, seed)):
        marks = [Mark(s.id, s.files[0].bytes, s.price.mean_kl if s.price else None) for s in stages]
        drawn = quality_plot(marks, 100_500_000, width=width, height=460, key="q")
        assert drawn.count('class="name"') == 20
