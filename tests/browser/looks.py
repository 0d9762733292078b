"""Looks at a panel as four people have it before them: in the light and the dark theme, wide and narrow."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.browser.page import Notebook

_THEMES = ("Light", "Dark")
_WIDTHS = (1280, 480)
_HIGH = 900
_AROUND = 200  # pixels: what JupyterLab has above and below a notebook
_MOST_TABS = 80
_DRAWN = """async area => {
  await new Promise(next => requestAnimationFrame(() => requestAnimationFrame(next)));
  const figures = [...area.querySelectorAll('.js-plotly-plot')];
  return figures.every(each => each.getBoundingClientRect().height > 0 && each.querySelector('svg.main-svg'));
}"""


def wrong_looks(page: Notebook, at: int, name: str) -> dict[str, list[str]]:
    """Take four pictures of what is below a cell. Returns what cannot be read or sticks out there, by picture."""
    wrong, area = {}, page.output(at)
    for theme in _THEMES:
        page.theme(f"JupyterLab {theme}")
        for width in _WIDTHS:
            _make_room(page, area, width)
            shot = f"{name}-{theme.lower()}-{width}"
            page.shot(shot, area)
            wrong[shot] = [*page.unreadable(area), *page.overflowing(area)]
    page.theme("JupyterLab Light")
    page.width(_WIDTHS[0])
    return {shot: found for shot, found in wrong.items() if found}


def _make_room(page: Notebook, area: Locator, width: int) -> None:
    """A page of this width, as high as all of an area: what is out of sight is not drawn."""
    page.page.set_viewport_size({"width": width, "height": _HIGH})
    high = area.evaluate("element => Math.ceil(element.getBoundingClientRect().height)")
    page.page.set_viewport_size({"width": width, "height": max(_HIGH, high + _AROUND)})
    page.page.wait_for_function(_DRAWN, arg=area.element_handle())


def tab_to(page: Notebook, target: Locator) -> None:
    """Reach something with the Tab key alone, from where the focus is."""
    for _ in range(_MOST_TABS):
        page.page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            expect(target).to_be_in_viewport()
            return
    raise AssertionError(f"not reached with {_MOST_TABS} presses of Tab: {target}")
