"""The page of a model in a real browser: widths, light and dark, contrast, where labels lie, hostile names, paper."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from selenium.common.exceptions import NoAlertPresentException

from browser import chromium, complaints, requests
from ckpt2hf.report.html import render_model
from ckpt2hf.report.wording import visible
from sample_batch import HOSTILE
from sample_model import alike, files, form, hostile, model, various

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium import webdriver

    from ckpt2hf.report import Report

pytestmark = pytest.mark.browser

SEVEN = (
    form("onnx", 2_544_248, None),
    form("onnx-fp16", 1_403_929, 1.28e-07),
    form("onnx-q8", 869_715, 1.736e-04),
    form("onnx-int8", 869_715, 1.736e-04),
    form("onnx-uint8", 873_948, 1.739e-04, spread=1.02),
    form("onnx-q4", 807_408, 6.1624e-03),
    form("onnx-q4f16", 655_635, 6.1625e-03),
)
REPORTS: dict[str, Report] = {
    "no forms": model(),
    "seven": model(SEVEN),
    "one": model(SEVEN[2:3]),
    "alike": model(alike(20, 1)),
    "alike, one layer": model(alike(20, 2, layers=1)),
    "alike, many layers": model(alike(20, 3, layers=80)),
    "various": model(various(20, 4)),
    "hostile": hostile(),
}
WIDTHS = (390, 700, 960, 1280)
LEGIBLE = 4.5
"""The contrast of text that WCAG 2 calls sufficient (level AA)."""
CONTRAST = """
const rgb = text => { const p = text.match(/[\\d.]+/g).map(Number); return p.length > 3 ? p : [...p, 1] }
const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0)
const ground = element => {
  for (let e = element; e; e = e.parentElement) {
    const colour = rgb(getComputedStyle(e).backgroundColor)
    if (colour[3] === 1) return colour
    if (colour[3] !== 0) throw new Error('half a background')
  }
}
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = []
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  const element = node.parentElement
  if (!node.textContent.trim() || !element.checkVisibility() || element.closest('svg title, svg desc')) continue
  for (let e = element; e; e = e.parentElement) if (getComputedStyle(e).opacity !== '1') throw new Error('opacity')
  const style = getComputedStyle(element), colour = rgb(element.closest('svg') ? style.fill : style.color)
  const [one, two] = [light(colour), light(ground(element))].sort((a, b) => b - a)
  found.push([(one + 0.05) / (two + 0.05), node.textContent.trim().slice(0, 40), element.tagName])
}
return found
"""
LABELS = """
return [...document.querySelectorAll('svg.plot')].filter(svg => svg.checkVisibility()).map(svg => ({
  box: [svg.viewBox.baseVal.width, svg.viewBox.baseVal.height],
  shown: svg.getBoundingClientRect().width / svg.viewBox.baseVal.width,
  texts: [...svg.querySelectorAll('text')].map(text => {
    const b = text.getBBox(), box = [b.x, b.y, b.x + b.width, b.y + b.height]
    return {text: text.textContent, name: text.classList.contains('name'), box}
  }),
  marks: [...svg.querySelectorAll('circle, polygon')].map(mark => {
    const b = mark.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]
  }),
}))
"""


class Shown:
    """A browser with the page of a report, at a width, in a scheme, everything unfolded."""

    def __init__(self, driver: webdriver.Chrome, folder: Path) -> None:
        self.driver, self.path = driver, folder / "model.report.html"

    def open(self, report: Report, width: int = 1280, scheme: str = "light", media: str = "") -> None:
        self.path.write_text(render_model(report, files(report), "az-mini-hf"), encoding="utf-8", newline="\n")
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(self.path.as_uri())
        self.js("document.querySelectorAll('details').forEach(each => each.open = true)")

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def quiet(self) -> None:
        """Nothing has gone wrong, asked a question, or left the machine."""
        with pytest.raises(NoAlertPresentException):
            _ = self.driver.switch_to.alert.text
        assert not complaints(self.driver)
        asked = {url for url in requests(self.driver) if not url.startswith("data:")}
        assert asked <= {self.path.as_uri(), "about:blank"}


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def shown(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Shown]:
    made = Shown(driver, tmp_path)
    yield made
    made.quiet()
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", REPORTS)
def test_the_page_is_no_wider_than_the_window(shown: Shown, name: str, width: int) -> None:
    shown.open(REPORTS[name], width)
    assert shown.js("return document.documentElement.scrollWidth") <= width
    beyond = """
    return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && !e.closest('pre, .wide, thead')
      && !(e.closest('svg') && e.tagName !== 'svg') && e.getBoundingClientRect().right > arguments[0] + 0.5)
      .map(e => e.outerHTML.slice(0, 80))
    """
    assert shown.js(beyond, width) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["seven", "no forms", "alike", "hostile"])
def test_all_text_can_be_read_on_its_background(shown: Shown, name: str, width: int, scheme: str) -> None:
    shown.open(REPORTS[name], width, scheme)
    found = shown.js(CONTRAST)
    assert len(found) > 200
    assert not [each for each in found if each[0] < LEGIBLE]
    assert ("SVG" in shown.js("return [...document.querySelectorAll('svg')].map(e => e.tagName.toUpperCase())")) == (
        name != "no forms"
    )


def meets(one: list[float], other: list[float], by: float = 0.5) -> bool:
    """Whether two boxes lie on each other by more than a hair."""
    return (
        min(one[2], other[2]) - max(one[0], other[0]) > by and min(one[3], other[3]) - max(one[1], other[1]) > by
    )  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [name for name in REPORTS if name != "no forms"])
def test_labels_lie_in_their_plot_and_on_nothing(shown: Shown, name: str, width: int) -> None:
    report = REPORTS[name]
    shown.open(report, width)
    plots = shown.js(LABELS)
    assert len(plots) == 2
    for plot in plots:
        texts = plot["texts"]
        assert plot["shown"] > 0.8
        for k, each in enumerate(texts):
            left, top, right, bottom = each["box"]
            assert left >= 0, each
            assert top >= 0, each
            assert right <= plot["box"][0], each
            assert bottom <= plot["box"][1], each
            assert not [other for other in texts[k + 1 :] if meets(each["box"], other["box"])], each
            if each["name"]:
                assert not [mark for mark in plot["marks"] if meets(each["box"], mark)], each
    quality, layers = plots
    assert sum(each["name"] for each in quality["texts"]) == len(report.stages)
    priced = sum(form.price is not None and form.price.logit_error > 0 for form in report.stages)
    assert sum(each["name"] for each in layers["texts"]) == priced * (2 if width < 897 else 1)


def test_keys_and_values_are_told_apart_by_words_and_forms_by_shapes(shown: Shown) -> None:
    shown.open(REPORTS["alike"])
    assert shown.js(
        "return [...document.querySelectorAll('#layers-wide, .plot.wide .head')].map(e => e.textContent)"
    ) == [
        "keys",
        "values",
        "logits",
    ]
    shapes = shown.js("return [...document.querySelectorAll('.plot.wide .dot')].map(e => e.getAttribute('class'))")
    assert len(set(shapes)) == 6


def test_a_screen_reader_is_told_what_the_plots_show(shown: Shown) -> None:
    shown.open(REPORTS["seven"])
    tree = shown.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    images = [node for node in tree if node.get("role", {}).get("value") == "image"]
    named = [node["name"]["value"] for node in images if "plot" in json.dumps(node) or node["name"]["value"]]
    assert [name for name in named if name.startswith("Size against divergence 7 forms")]
    assert [name for name in named if name.startswith("Error layer by layer")]
    roles = {node.get("role", {}).get("value") for node in tree}
    assert {"table", "columnheader", "rowheader", "cell", "heading"} <= roles


@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_words_are_shown_as_what_they_are(shown: Shown, width: int) -> None:
    shown.open(REPORTS["hostile"], width)
    text = shown.js("return document.body.textContent")
    for words in HOSTILE:
        assert visible(words) in text
    assert shown.js("return document.querySelectorAll('img, iframe, object, script, a').length") == 0
    assert shown.js("return document.querySelectorAll('section').length") == 10


@contextmanager
def without_scripts(driver: webdriver.Chrome) -> Iterator[None]:
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        yield
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def laid_out(driver: webdriver.Chrome) -> list[str]:
    """All text that has a place on the page."""
    shot = driver.execute_cdp_cmd("DOMSnapshot.captureSnapshot", {"computedStyles": []})
    return [shot["strings"][k] for k in shot["documents"][0]["layout"]["text"] if k >= 0]


def test_it_is_the_same_page_without_javascript(shown: Shown) -> None:
    shown.open(REPORTS["seven"])
    shown.driver.refresh()
    with_scripts = laid_out(shown.driver)
    with without_scripts(shown.driver):
        shown.driver.refresh()
        assert laid_out(shown.driver) == with_scripts
    assert {"onnx-q4f16", "the same function", "10⁻⁴", "keys", "values", "logits"} <= set(with_scripts)


def test_numbers_that_are_shown_are_those_of_the_report(shown: Shown) -> None:
    report = REPORTS["seven"]
    shown.open(report)
    rows = shown.js(
        "return [...document.querySelectorAll('table.forms tbody tr')].map(row => "
        "[...row.querySelectorAll('td')].map(cell => { const data = cell.querySelector('data');"
        "return data ? [+data.value, data.textContent] : [null, cell.textContent] }))"
    )
    assert len(rows) == len(report.stages)
    for row, stage in zip(rows, report.stages, strict=True):
        price = stage.price
        assert row[0][0] == stage.files[0].bytes
        assert row[1] == [stage.bits_per_weight, f"{stage.bits_per_weight:.2f}"]
        if price is None:
            assert row[2][1] == "✓ proved"
        else:
            assert row[2] == [price.mean_kl, f"{price.mean_kl:.1e}"]
            assert row[3] == [price.p99_kl, f"{price.p99_kl:.1e}"]
            assert row[4] == [price.top1, f"{price.top1:.2%}"]
            assert row[5] == [price.ppl_ratio, f"{price.ppl_ratio:.4f}"]
            assert row[6] == [price.cache_top1, f"{price.cache_top1:.2%}"]


def test_points_lie_where_their_numbers_say(shown: Shown) -> None:
    """Read back from the drawing: a fourfold divergence is the same step everywhere, and sizes are in proportion."""
    shown.open(model((form("a", 1_000_000, 1e-5), form("b", 2_000_000, 1e-3), form("c", 3_000_000, 1e-1))))
    points = shown.js(
        "return [...document.querySelectorAll('.plot.wide')][0].querySelectorAll('circle').length && "
        "[...document.querySelectorAll('.plot.wide')[0].querySelectorAll('circle')]"
        ".map(c => [c.textContent[0], +c.getAttribute('cx'), +c.getAttribute('cy')])"
    )
    place = {name: (x, y) for name, x, y in points}
    assert place["b"][0] - place["a"][0] == pytest.approx(place["c"][0] - place["b"][0], abs=0.2)
    assert place["a"][1] - place["b"][1] == pytest.approx(place["b"][1] - place["c"][1], abs=0.2)
    assert place["a"][1] > place["b"][1]


def test_paper_is_white_and_has_the_wide_plots(shown: Shown) -> None:
    shown.open(REPORTS["seven"], 700, "dark", "print")
    style = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
    assert shown.js(style) == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    visible_plots = shown.js("return [...document.querySelectorAll('svg.plot')].map(e => e.checkVisibility())")
    assert visible_plots == [True, False] * 2
    assert shown.js("return getComputedStyle(document.querySelector('table.forms thead')).display") != "none"
    assert shown.js("return getComputedStyle(document.querySelector('table.forms tr')).display") == "table-row"
    assert not [each for each in shown.js(CONTRAST) if each[0] < LEGIBLE]
    pdf = shown.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.7})["data"]
    assert len(pdf) > 50_000
