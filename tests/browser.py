"""A headless Chromium that keeps a log, for the tests of pages."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def chromium() -> Iterator[webdriver.Chrome]:
    """The browser; the test fails where none is installed."""
    program = os.environ.get("CKPT2HF_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    service = shutil.which("chromedriver")
    if not (program and service):
        pytest.fail("Chromium and its driver are needed: on Debian, apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,900"):
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(service))
    try:
        yield browser
    finally:
        browser.quit()


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Errors of scripts, and violations of the page's policy."""
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser: webdriver.Chrome) -> set[str]:
    """Every address that was asked for."""
    told: list[Any] = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        each["params"]["request"]["url"].partition("#")[0]
        for each in told
        if each["method"] == "Network.requestWillBeSent"
    }
