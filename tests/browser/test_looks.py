"""Panels in the light and the dark theme, wide and narrow: a person can read all of it and nothing sticks out."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.cells import LOAD, video_cell
from tests.browser.opened import Opener
from tests.browser.page import Notebook

_PANELS = {1: "connect", 2: "job", 3: "status", 4: "costs"}


def _open(nb: Opener) -> Notebook:
    page = nb(LOAD, "%autopod connect", video_cell("--name a-name-that-is-as-long-as-names-of-jobs-may-well-become"),
              "%autopod status", "%autopod costs")  # fmt: skip
    for at in range(3):
        assert page.run(at)
    expect(page.output(2).locator("video")).to_be_visible()
    for at in (3, 4):
        assert page.run(at)
    expect(page.output(3).get_by_text("● ready")).to_be_visible()
    return page


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_every_text_can_be_read_in_this_theme(nb: Opener, theme: str) -> None:
    page = _open(nb)
    page.theme(f"JupyterLab {theme}")
    for at, name in _PANELS.items():
        page.shot(f"{name}-{theme.lower()}", page.output(at))
    unreadable = {name: page.unreadable(page.output(at)) for at, name in _PANELS.items()}
    assert not any(unreadable.values()), unreadable


@pytest.mark.slow
@pytest.mark.parametrize("width", [480, 1920])
def test_nothing_sticks_out_of_a_page_of_this_width(nb: Opener, width: int) -> None:
    page = _open(nb)
    page.width(width)
    for at, name in _PANELS.items():
        page.shot(f"{name}-{width}", page.output(at))
    overflowing = {name: page.overflowing(page.output(at)) for at, name in _PANELS.items()}
    assert not any(overflowing.values()), overflowing
