"""The browser of this machine, as tests and benchmarks start it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.scripts import WAIT_MS

NO_CHROMIUM = "no Chromium: apt-get install chromium"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
_OPTIONS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


def find_chromium() -> str | None:
    """The program, None if there is none."""
    return next((path for path in map(shutil.which, _BROWSERS) if path is not None), None)


@contextmanager
def a_browser(program: str) -> Iterator[Browser]:
    """Start it, without a window. Playwright's event loop runs in this thread meanwhile."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS, headless=True)
        yield browser
        browser.close()
