"""batch.html in a real browser: every filter and order against Python's own, hostile names, keyboard, no JavaScript."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, unquote, urlsplit

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import chromium, complaints, requests
from ckpt2hf.report import BatchReport, JobReport, Status
from ckpt2hf.report.html import render
from ckpt2hf.report.html.columns import COLUMNS
from ckpt2hf.report.wording import size, visible
from sample_batch import HOSTILE, batch, hostile, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from selenium import webdriver
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = pytest.mark.browser

TWIN = "final/twin-of-run-1"
NEED = ["failed", "refused", "pending", "proved"]
LEVELS = ["structure", "bytes", "logits"]
EXACTNESS = ["rounded", "algebraic", "bitwise"]


def in_steps(text: str) -> list[Any]:
    return [int(part) if part.isdigit() else part.lower() for part in re.split(r"(\d+)", text)]


ORDERS: dict[str, Callable[[JobReport], Any]] = {
    "name": lambda job: in_steps(job.name),
    "status": lambda job: NEED.index(job.status.value),
    "dialect": lambda job: job.dialect,
    "proof": lambda job: (
        (LEVELS.index(job.level), EXACTNESS.index(job.exactness)) if job.level and job.exactness else None
    ),
    "parameters": lambda job: job.parameters or None,
    "source": lambda job: job.source_bytes,
    "output": lambda job: job.output_bytes or None,
    "seconds": lambda job: job.seconds if job.attempts else None,
    "report": lambda job: in_steps(job.report) if job.report else None,
}
"""What each column sorts by, said once more; None comes last either way."""


def ordered(jobs: Sequence[JobReport], *keys: str) -> list[str]:
    """Names in the order of these columns, the first one counting most, `-` for descending."""
    found = sorted(jobs, key=ORDERS["name"])
    for word in reversed(keys):
        order = ORDERS[word.removeprefix("-")]
        present = sorted((j for j in found if order(j) is not None), key=order, reverse=word.startswith("-"))
        found = present + [job for job in found if order(job) is None]
    return [job.name for job in found]


class Page:
    """A browser with the page of one batch."""

    def __init__(self, driver: webdriver.Chrome, path: Path, about: BatchReport) -> None:
        self.driver, self.path, self.about = driver, path, about
        path.write_text(render(about), encoding="utf-8", newline="\n")

    def open(self, state: str = "") -> Self:
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(f"{self.path.as_uri()}{state}")
        return self

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return str(self.one(selector).text)

    def rows(self) -> list[str]:
        """The names in the table, from top to bottom."""
        places = self.js("return [...document.querySelector('#jobs').tBodies[0].rows].map(row => +row.dataset.k)")
        return [self.about.jobs[k].name for k in places]

    def row(self, name: str) -> str:
        """A selector."""
        return f"#j{next(k for k, job in enumerate(self.about.jobs) if job.name == name)}"

    def until(self, what: Callable[[], Any]) -> Any:
        """What becomes true within five seconds."""
        end = time.monotonic() + 5
        while not (found := what()) and time.monotonic() < end:
            time.sleep(0.02)
        assert found
        return found

    def state(self, expected: str) -> None:
        self.until(lambda: unquote(urlsplit(self.driver.current_url).fragment.replace("+", " ")) == expected)

    def search(self, text: str) -> None:
        field = self.one("#search")
        field.clear()
        field.send_keys(text)
        self.settle()

    def settle(self) -> None:
        """Wait until the page has answered what was typed."""
        self.js("return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def choose(self, box: str, value: str) -> None:
        self.one(f"{box} option[value='{value}']").click()

    def complaints(self) -> list[str]:
        """Errors of the script, and violations of the page's policy."""
        return complaints(self.driver)

    def requests(self) -> set[str]:
        """Every address that was asked for."""
        return requests(self.driver)


@pytest.fixture(scope="module")
def driver() -> Iterator[webdriver.Chrome]:
    """One browser for all tests."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def thousand() -> BatchReport:
    """1,000 jobs and a twin."""
    made = batch(1000, skipped=150)
    first = next(job for job in made.jobs if job.status is Status.PROVED)
    twin = JobReport(
        name=TWIN, source="/data/twin.pt", source_bytes=5, status=Status.PROVED, attempts=1, same_as=first.name
    )
    return report((*made.jobs, twin), made.skipped)


@pytest.fixture(scope="module")
def written(driver: webdriver.Chrome, thousand: BatchReport, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(driver, tmp_path_factory.mktemp("batch") / "batch.html", thousand)


@pytest.fixture
def page(written: Page) -> Iterator[Page]:
    """The page of 1,001 jobs, just opened; after the test nothing may have gone wrong or left the machine."""
    yield written.open()
    assert not written.complaints()
    assert {url for url in written.requests() if not url.startswith("data:")} <= {written.path.as_uri(), "about:blank"}


@pytest.fixture
def nasty(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Page]:
    """A page in which every text is hostile."""
    made = Page(driver, tmp_path / "batch.html", report(hostile()))
    yield made.open()
    with pytest.raises(NoAlertPresentException):
        _ = driver.switch_to.alert.text
    assert not made.complaints()
    assert {url for url in made.requests() if not url.startswith("data:")} <= {made.path.as_uri(), "about:blank"}


# --- at a glance


def test_the_head_counts_what_became_of_the_batch(page: Page) -> None:
    counts = page.about.counts
    assert page.text("h1") == f"✕ {counts['proved']} of 1,001 checkpoints are proved"
    for status, count in counts.items():
        assert page.text(f"[data-status={status}]").split() == [str(count), NEED_MARK[status], status]
    assert page.js("return [...document.querySelectorAll('.bar rect')].length") == sum(map(bool, counts.values()))
    assert page.driver.title == f"{counts['proved']} of 1,001 checkpoints are proved · converted"


NEED_MARK = {"proved": "✓", "refused": "⊘", "failed": "✕", "pending": "○"}


def test_every_row_shows_its_job(page: Page) -> None:
    shown = page.js(
        "return Object.fromEntries([...document.querySelectorAll('#jobs tbody tr')].map("
        "row => [row.dataset.k, [...row.cells].map(cell => cell.textContent)]))"
    )
    for k, job in enumerate(page.about.jobs):
        name, status, dialect, proof, _, source, written_, *_ = shown[str(k)]
        assert name.startswith(job.name)
        assert status == f"{NEED_MARK[job.status.value]} {job.status.value}"
        assert dialect == (job.dialect or "")
        assert proof == (f"{job.level} · {job.exactness}" if job.level else "")
        assert source == size(job.source_bytes)
        assert written_ == (size(job.output_bytes) if job.output_bytes else "")
        if job.reason:
            assert f"{job.reason.code}: {job.reason.what}" in name


# --- order


def test_at_first_the_names_are_in_natural_order(page: Page) -> None:
    assert page.rows() == ordered(page.about.jobs)
    assert page.one("th[aria-sort]").get_attribute("data-key") == "name"


def test_every_column_has_an_order_here() -> None:
    assert list(ORDERS) == [column.key for column in COLUMNS]


@pytest.mark.parametrize("key", ORDERS)
def test_a_column_sorts_both_ways(page: Page, key: str) -> None:
    button = page.one(f"th[data-key={key}] button")
    seen = set()
    for _ in range(2):
        button.click()
        direction = page.one(f"th[data-key={key}]").get_attribute("aria-sort")
        seen.add(direction)
        assert page.rows() == ordered(page.about.jobs, f"-{key}" if direction == "descending" else key)
        assert len(page.all("th[aria-sort]")) == 1
    assert seen == {"ascending", "descending"}


def test_sorting_by_one_column_keeps_the_order_of_the_others(page: Page) -> None:
    for key in ("seconds", "dialect", "status"):
        page.one(f"th[data-key={key}] button").click()
    assert page.rows() == ordered(page.about.jobs, "status", "dialect", "-seconds")
    page.state("sort=status,dialect,-seconds")


def test_the_narrow_page_sorts_by_a_box(page: Page) -> None:
    page.js(
        "const box = document.querySelector('#sort'); box.value = '-source'; box.dispatchEvent(new Event('change'))"
    )
    assert page.rows() == ordered(page.about.jobs, "-source")


# --- filters


def only(page: Page, wanted: Callable[[JobReport], Any]) -> list[str]:
    return ordered([job for job in page.about.jobs if wanted(job)])


def test_each_status_filters_and_several_add_up(page: Page) -> None:
    chosen: set[str] = set()
    for status in ("refused", "failed", "proved", "pending"):
        page.one(f"[data-status={status}]").click()
        chosen.add(status)
        assert page.rows() == only(page, lambda job: job.status.value in chosen)
        assert page.one(f"[data-status={status}]").get_attribute("aria-pressed") == "true"
    for status in ("refused", "failed", "proved"):
        page.one(f"[data-status={status}]").click()
        chosen.remove(status)
        assert page.rows() == only(page, lambda job: job.status.value in chosen)


def test_each_dialect_filters(page: Page) -> None:
    counts = Counter(job.dialect for job in page.about.jobs)
    for dialect, count in counts.items():
        page.choose("#dialect", dialect or "-")
        assert page.rows() == only(page, lambda job, dialect=dialect: job.dialect == dialect)
        assert page.text("#dialect option:checked") == f"{dialect or 'none'} ({count})"
    assert len(page.all("#dialect option")) == len(counts) + 1


def test_each_error_code_filters(page: Page) -> None:
    codes = {job.reason.code if job.reason else None for job in page.about.jobs}
    for code in codes:
        page.choose("#code", code or "-")
        assert page.rows() == only(page, lambda job, code=code: (job.reason.code if job.reason else None) == code)
    assert len(page.all("#code option")) == len(codes) + 1


def test_each_reason_filters_the_jobs_it_counts(page: Page) -> None:
    together = Counter((job.reason.code, job.reason.remedies) for job in page.about.jobs if job.reason)
    buttons = page.all("[data-group]")
    assert [int(button.find_element(By.TAG_NAME, "b").text) for button in buttons] == sorted(
        together.values(), reverse=True
    )
    left = dict(together)
    for button in buttons:
        button.click()
        names = page.rows()
        first = next(job for job in page.about.jobs if job.name == names[0])
        assert first.reason
        key = (first.reason.code, first.reason.remedies)
        assert names == only(page, lambda job, key=key: job.reason and (job.reason.code, job.reason.remedies) == key)
        assert first.reason.code in button.text
        del left[key]
        button.click()
        assert len(page.rows()) == 1001
    assert not left


@pytest.mark.parametrize(
    "words", ["heads", "RUN-12", "sweep run-7", "truncated ablation", "no space", "5e-05", "gpt2lmheadmodel twin", "'"]
)
def test_search_finds_what_has_every_word(page: Page, words: str) -> None:
    def text(job: JobReport) -> str:
        why = job.reason
        parts = [job.name, job.source, job.status.value, job.dialect, job.target, job.level, job.exactness, job.sha256]
        parts += [job.same_as, *job.warnings]
        parts += [why.code, why.what, *why.details, why.where, why.tried, *why.remedies] if why else []
        return "\n".join(part for part in parts if part).lower()

    page.search(words)
    expected = only(page, lambda job: all(word in text(job) for word in words.lower().split()))
    assert page.rows() == expected
    assert page.text("#shown") == f"{len(expected):,} of 1,001 checkpoints"
    assert page.one("#nothing").is_displayed() == (not expected)


def test_search_finds_a_digest(page: Page) -> None:
    job = next(job for job in page.about.jobs if job.sha256)
    assert job.sha256
    page.search(job.sha256[:20])
    assert page.rows() == [job.name]


def test_filters_work_together_and_are_taken_back_at_once(page: Page) -> None:
    page.one("[data-status=proved]").click()
    page.choose("#dialect", "nanogpt")
    page.search("sweep")
    page.one("th[data-key=source] button").click()
    jobs = [j for j in page.about.jobs if j.status is Status.PROVED and j.dialect == "nanogpt" and "sweep" in j.name]
    assert page.rows() == ordered(jobs, "-source")
    page.one("#clear").click()
    assert page.rows() == ordered(page.about.jobs, "-source")
    assert not page.one("#clear").is_displayed()
    page.state("sort=-source")


# --- the address


def test_a_view_is_restored_from_its_address(page: Page) -> None:
    page.search("run-1")
    page.one("[data-status=refused]").click()
    page.choose("#code", "facts")
    page.one("[data-group]").click()
    page.one("th[data-key=source] button").click()
    page.one("#jobs tbody .toggle").click()
    before = page.rows()
    assert 0 < len(before) < 31
    page.until(lambda: "open=" in page.driver.current_url)
    page.driver.refresh()
    assert page.rows() == before
    assert page.one("#search").get_attribute("value") == "run-1"
    assert page.one("#code").get_attribute("value") == "facts"
    assert page.one("[data-status=refused]").get_attribute("aria-pressed") == "true"
    assert page.one("[data-group]").get_attribute("aria-pressed") == "true"
    assert page.one("th[data-key=source]").get_attribute("aria-sort") == "descending"
    assert len(page.all(".panel")) == 1
    assert page.all("#jobs tbody tr")[0].find_elements(By.CSS_SELECTOR, ".panel")


def test_an_address_typed_into_the_open_page_is_followed(page: Page) -> None:
    page.js("location.hash = 'status=failed&sort=-source'")
    failed = [job for job in page.about.jobs if job.status is Status.FAILED]
    page.until(lambda: page.rows() == ordered(failed, "-source"))


def test_an_address_that_makes_no_sense_shows_everything(page: Page) -> None:
    page.open("#sort=nonsense,-__proto__&status=constructor&reason=toString&open=nobody&=&%")
    assert page.rows() == ordered(page.about.jobs)


# --- a job in full


def test_a_row_opens_and_closes(page: Page) -> None:
    job = next(job for job in page.about.jobs if job.reason and len(job.reason.remedies) == 2)
    row = page.row(job.name)
    page.search(job.source)
    toggle = page.one(f"{row} .toggle")
    assert toggle.get_attribute("aria-expanded") == "false"
    toggle.click()
    assert toggle.get_attribute("aria-expanded") == "true"
    panel = page.one(f"#{toggle.get_attribute('aria-controls')}")
    assert job.reason
    for text in (job.source, job.reason.what, job.reason.code, *job.reason.details):
        assert text.strip() in panel.text
    commands = [code.text for code in panel.find_elements(By.TAG_NAME, "code")]
    assert commands[-1] == "--reference model.py:YourModelClass"
    assert not any("|" in command for command in commands)
    page.one(f"{row} .c-dialect").click()
    assert not page.all(f"{row} .panel")
    assert toggle.get_attribute("aria-expanded") == "false"


def test_a_proved_job_shows_its_checks_and_digest(page: Page) -> None:
    job = next(job for job in page.about.jobs if job.checks and job.peak_memory_bytes and job.sha256)
    page.search(job.source)
    page.one(".toggle").click()
    shown = page.text(".panel")
    assert job.checks
    assert job.sha256
    for text in (*job.checks, *job.checks.values(), job.sha256, size(job.peak_memory_bytes)):
        assert text in shown


def test_sizes_read_the_same_in_panel_and_table(page: Page) -> None:
    jobs = [job for job in page.about.jobs if job.peak_memory_bytes][:60]
    names = "&".join(f"open={quote(job.name)}" for job in jobs)
    page.open(f"#{names}")
    assert len(page.all(".panel")) == len(jobs)
    for job in jobs:
        shown = page.js("return document.querySelector(arguments[0]).textContent", f"{page.row(job.name)} .panel")
        assert f"memory{size(job.peak_memory_bytes)}" in shown


def test_a_remedy_is_copied(page: Page) -> None:
    page.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})
    page.search("allow-nonfinite")
    page.one(".toggle").click()
    page.one(".copy").click()
    page.until(lambda: page.text(".copy") == "copied")
    assert page.js("return navigator.clipboard.readText()") == "--allow-nonfinite"


def test_a_twin_leads_to_the_job_with_the_same_bytes(page: Page) -> None:
    twin = next(job for job in page.about.jobs if job.name == TWIN)
    page.search("twin-of")
    page.one(".toggle").click()
    page.one(".panel .quiet").click()
    assert twin.same_as
    assert page.all(f"{page.row(twin.same_as)} .panel")
    focused = page.js("return document.activeElement.closest('tr').dataset.k")
    assert page.about.jobs[int(focused)].name == twin.same_as


def test_every_report_is_linked_beside_the_page(page: Page) -> None:
    links = page.js("return Object.fromEntries([...document.querySelectorAll('.c-report a')].map("
                    "a => [a.closest('tr').dataset.k, a.href]))")  # fmt: skip
    expected = {str(k): (page.path.parent / job.report).as_uri() for k, job in enumerate(page.about.jobs) if job.report}
    assert links == expected


def test_skipped_files_are_listed_and_searched(page: Page) -> None:
    summary = page.text("#skipped summary")
    assert summary.startswith("150 files that are no checkpoints")
    assert not page.one("#skipped-search").is_displayed()
    page.one("#skipped summary").click()
    page.one("#skipped-search").send_keys("Tokenizer")
    left = page.js("return [...document.querySelectorAll('#skipped tbody tr:not([hidden])')].map(r => r.textContent)")
    assert left == [each.path + each.why for each in page.about.skipped if "tokenizer" in each.why]
    page.state("skipped=Tokenizer")


# --- hostile names


def test_hostile_names_are_shown_as_what_they_are(nasty: Page) -> None:
    for toggle in nasty.all(".toggle"):
        toggle.click()
    for k, job in enumerate(nasty.about.jobs):
        assert nasty.js("return document.querySelector(arguments[0]).textContent", f"#j{k} bdi") == visible(job.name)
    assert (
        nasty.js("return document.querySelectorAll('img, iframe, object, script:not([type]), body script').length") == 3
    )
    assert len(nasty.all(".panel")) == len(HOSTILE)
    tree = "JSON.parse(document.querySelector('#report').textContent)"
    lengths = [len(job.source.encode("utf-16-le", "surrogatepass")) // 2 for job in nasty.about.jobs]
    assert nasty.js(f"return {tree}.jobs.map(job => job.source.length)") == lengths


def test_hostile_names_lead_nowhere_else(nasty: Page) -> None:
    links = nasty.js("return [...document.querySelectorAll('a')].map(a => a.href)")
    assert len(links) == len(HOSTILE)
    assert all(link.startswith("file:///") and link.endswith("/conversion.json") for link in links)
    assert len(set(links)) == len(HOSTILE)


def test_hostile_names_are_found_and_kept_in_the_address(nasty: Page) -> None:
    for k, text in enumerate(HOSTILE):
        word = next(word for word in re.split(r"[\s\x00-\x1f\u2028\u2029\u202e\udcff]+", text) if word)
        typed = (
            "const s = document.querySelector('#search'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))"
        )
        nasty.js(typed, f"{k} {word}")  # the driver cannot type every character
        nasty.settle()
        assert f"{k} {text}" in nasty.rows()
        nasty.until(lambda: "q=" in nasty.driver.current_url)
        before = nasty.rows()
        time.sleep(0.15)
        nasty.driver.refresh()
        assert nasty.rows() == before


@pytest.mark.parametrize("width", [400, 800, 1280])
def test_nothing_is_wider_than_the_window(nasty: Page, width: int) -> None:
    nasty.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    nasty.open()
    for toggle in nasty.all(".toggle"):
        nasty.js("arguments[0].click()", toggle)
    wide = nasty.js("return document.documentElement.scrollWidth")
    nasty.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert wide <= width


# --- without a mouse, without JavaScript, on paper


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    keys = page.driver.switch_to.active_element.send_keys
    keys(Keys.TAB)
    assert page.js("return document.activeElement.dataset.status") == "proved"
    assert page.js("return getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.driver.switch_to.active_element.send_keys(Keys.TAB)
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert page.rows() == only(page, lambda job: job.status is Status.REFUSED)
    page.driver.switch_to.active_element.send_keys("/")
    assert page.js("return document.activeElement.id") == "search"
    page.driver.switch_to.active_element.send_keys("sweep")
    page.until(lambda: page.rows() == only(page, lambda job: job.status is Status.REFUSED and "sweep" in job.name))
    expected = page.rows()
    for _ in range(30):
        page.driver.switch_to.active_element.send_keys(Keys.TAB)
        if page.js("return document.activeElement.className") == "toggle":
            break
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.all(f"{page.row(expected[1])} .panel")
    page.driver.switch_to.active_element.send_keys(Keys.END)
    page.driver.switch_to.active_element.send_keys(Keys.SPACE)
    assert page.all(f"{page.row(expected[-1])} .panel")
    page.driver.switch_to.active_element.send_keys(Keys.HOME)
    assert page.js("return +document.activeElement.closest('tr').dataset.k") == int(page.row(expected[0])[2:])


def test_a_screen_reader_is_told_names_and_roles(driver: webdriver.Chrome, tmp_path: Path) -> None:
    few = Page(driver, tmp_path / "batch.html", batch(300, skipped=5)).open()
    few.one(".toggle").click()
    tree = driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [n for n in tree if n.get("role", {}).get("value") in {"button", "searchbox", "combobox", "link"}]
    assert len(controls) > 300
    assert not [node for node in controls if not node.get("name", {}).get("value", "").strip()]
    roles = Counter(node.get("role", {}).get("value") for node in tree)
    assert roles["columnheader"] >= len(COLUMNS)
    assert roles["rowheader"] == 300
    assert roles["cell"] >= 300 * (len(COLUMNS) - 1)


def test_without_javascript_the_table_is_complete(page: Page) -> None:
    page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.open()
        rows = page.driver.execute_cdp_cmd(
            "DOM.querySelectorAll", {"nodeId": root(page), "selector": "#jobs tbody tr"}
        )["nodeIds"]
        assert len(rows) == 1001
        whole = page.driver.execute_cdp_cmd("DOM.getOuterHTML", {"nodeId": root(page)})["outerHTML"]
        shown = page.driver.execute_cdp_cmd("DOMSnapshot.captureSnapshot", {"computedStyles": []})
        texts = set(shown["strings"])
        for job in page.about.jobs:
            assert {job.name, size(job.source_bytes)} <= texts
        assert whole.count("<details>") == 1001
        assert "How many attention heads?" in whole
        boxes = {shown["strings"][k] for layout in (shown["documents"][0]["layout"],) for k in layout["text"] if k >= 0}
        assert any("details" in text for text in boxes)
        assert not any("Search names" in text for text in boxes)
    finally:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def root(page: Page) -> int:
    return int(page.driver.execute_cdp_cmd("DOM.getDocument", {"depth": 0})["root"]["nodeId"])


def test_dark_and_print(page: Page) -> None:
    def colours(features: dict[str, Any]) -> tuple[str, str]:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)
        return tuple(page.js("const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"))

    light = colours({"features": [{"name": "prefers-color-scheme", "value": "light"}]})
    dark = colours({"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    paper = colours({"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    tools = page.one("#tools").is_displayed()
    colours({"media": "", "features": []})
    assert light != dark
    assert paper == ("rgb(255, 255, 255)", "rgb(0, 0, 0)")
    assert not tools
    pdf = page.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.7})["data"]
    assert len(pdf) > 100_000


@pytest.mark.slow
def test_ten_thousand_rows_are_still_quick(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """The limits are ten times what two busy cores took: they catch what grows with the square of the rows."""
    many = Page(driver, tmp_path / "batch.html", batch(10_000, seed=2))
    begun = time.monotonic()
    many.open()
    assert time.monotonic() - begun < 25
    measure = (
        "const t = performance.now(); arguments[0].click(); document.body.offsetHeight;return performance.now() - t"
    )
    assert many.js(measure, many.one("th[data-key=source] button")) < 5000
    assert many.js(measure, many.one("[data-status=refused]")) < 2000
    assert not many.complaints()
