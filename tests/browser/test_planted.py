"""Markup, scripts and codes planted wherever a person or a pod may write: shown as text, and never run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import hostile_comfy
from tests.browser.cells import LOAD
from tests.browser.hostile_comfy import CODES, EVIL, IMAGE, SCRIPT, STYLE
from tests.browser.opened import Opener
from tests.fakes.service import RunpodService

_ALL = json.dumps(" ".join([*EVIL, CODES]))
_SWEEP = f'%%comfyjob "{IMAGE}" --name many\nsweep:\n  text: {json.dumps([*EVIL, CODES])}'
_ONE = f'%%comfyjob "{IMAGE}" --name one\nparams:\n  text: {_ALL}\noutputs:\n  "{IMAGE}": "{IMAGE}/{IMAGE}.png"'
_FAILS = f'%%comfyjob "{IMAGE}2" --name breaks\nparams:\n  text: {_ALL}'
_HANGS = "%%comfyjob hangs --name stays\nparams: {}"
_STATIC = {
    2: ["● all done", *(f"text={each}" for each in EVIL)],
    3: ["● done", f"{IMAGE}/{IMAGE}.png", f"Node {SCRIPT} says:", *EVIL],
    4: ["● failed", f"{STYLE} (Fails, node {SCRIPT}) raised __main__.{IMAGE}: {SCRIPT}"],
    5: ["failed", IMAGE],
    6: [f"planted: {each}" for each in EVIL],
    7: [f"ComfyUI {SCRIPT}", STYLE],
}
"""Cell → what stands below it in a saved notebook."""
_RUNNABLE = r"""() => {
  const areas = [...document.querySelectorAll('.jp-OutputArea-output, body.jp-Notebook, main')];
  const runs = element => element.matches('script:not([type]), [src="x"], object, embed')
    || [...element.attributes].some(({name, value}) => name.startsWith('on') || /^\s*javascript:/i.test(value));
  const found = areas.flatMap(area => [...area.querySelectorAll('*')]).filter(runs).map(each => each.outerHTML);
  const steers = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/;
  const steering = areas.map(area => area.textContent).filter(text => steers.test(text));
  return found.concat(steering).map(each => each.slice(0, 200));
}"""


def assert_nothing_ran(tab: Page) -> None:
    """No script of ours ran, there is nothing in any output that would at a touch, and no character that steers."""
    assert tab.evaluate("window.planted ?? null") is None
    assert tab.evaluate(_RUNNABLE) == []


def says(place: Locator, *texts: str) -> None:
    """Each text can be read there as it is."""
    for text in texts:
        expect(place).to_contain_text(text)


def graph(kind: str) -> dict[str, Any]:
    """A workflow whose ids, titles and file names are planted; the text is a parameter."""
    return {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 255}},
        SCRIPT: {"class_type": kind, "inputs": {"text": "{param.text=hello}"}, "_meta": {"title": STYLE}},
        "3": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": IMAGE},
            "_meta": {"title": f"output.{IMAGE}"},
        },
    }


@pytest.fixture
def hostile(nb: Opener) -> Opener:
    """Pods of these notebooks run a ComfyUI that means harm; templates with such names lie beside them."""
    nb.environ |= hostile_comfy.install(nb.lab.folder / f"comfy-{nb.name}")
    templates = nb.folder / "templates"
    templates.mkdir()
    for name, kind in ((IMAGE, "Shows"), (f"{IMAGE}2", "Fails"), ("hangs", "Hangs")):
        (templates / f"{name}.json").write_text(json.dumps(graph(kind)))
    return nb


@pytest.mark.slow
def test_panels_cards_and_logs_show_it_as_text(hostile: Opener) -> None:
    cells = [LOAD, "%autopod connect", _SWEEP, _ONE, _FAILS, _HANGS, "%autopod logs -n 300", "%autopod logs --follow"]
    page = hostile(*cells, "%autopod jobs", "%autopod templates", "%autopod panel")
    for at in range(6):
        assert page.run(at), page.text(at)
    expect(page.output(2).get_by_text("● all done")).to_be_visible()
    says(page.output(2), *(f"text={each}" for each in EVIL))
    expect(page.output(3).get_by_text("● done")).to_be_visible()
    says(page.output(3), f"{IMAGE}/{IMAGE}.png", f"Node {SCRIPT} says:", *EVIL)
    expect(page.output(4).get_by_text("● failed")).to_be_visible()
    says(page.output(4), f"{STYLE} (Fails, node {SCRIPT}) raised __main__.{IMAGE}: {SCRIPT}")
    page.output(4).get_by_text("Traceback", exact=True).click()
    says(page.output(4).locator("details pre"), f'File "{SCRIPT}", line 1')
    says(page.output(5), "● running", STYLE)  # a live panel
    for at in range(6, 11):
        assert page.run(at), page.text(at)
    for at in (6, 7):
        says(page.output(at), *(f"planted: {each}" for each in EVIL), f"!!! Exception during processing !!! {SCRIPT}")
    says(page.output(8), IMAGE, f"{IMAGE}/{IMAGE}.png", STYLE)
    says(page.output(9), f"templates/{IMAGE}.json")
    says(page.output(10), f"ComfyUI {SCRIPT}", STYLE, f"{IMAGE}/{IMAGE}.png")
    page.shot("planted-dashboard", page.output(10))
    assert_nothing_ran(page.page)
    with page.page.context.expect_page() as opened:
        page.button(re.compile("Control page"), 10).click()
    control = opened.value
    says(control.locator("main"), SCRIPT, IMAGE, STYLE)
    control.screenshot(path=page.shot("planted-job", page.output(4)).with_name("planted-control-page.png"))
    assert_nothing_ran(control)
    assert page.errors == [], "\n".join(page.errors)
    assert page.dialogs == []


@pytest.mark.slow
def test_history_and_figures_show_it_as_text(hostile: Opener) -> None:
    cells = ["%autopod history", "%autopod jobs --plot", "%autopod costs --plot"]
    page = hostile(LOAD, "%autopod connect", _ONE, _FAILS, *cells)
    for at in range(4):
        assert page.run(at), page.text(at)
    for at, state in ((2, "● done"), (3, "● failed")):
        expect(page.output(at).get_by_text(state)).to_be_visible()
    for at in range(4, 7):
        assert page.run(at), page.text(at)
    says(page.output(4), IMAGE, f"{IMAGE}/{IMAGE}.png", f"{STYLE} (Fails, node {SCRIPT})")
    page.output(4).get_by_label("Search").fill(SCRIPT)
    expect(page.output(4).get_by_text("1 of 2 attempts")).to_be_visible()
    page.button("Make CSV", 4).click()
    expect(page.output(4).get_by_role("link", name="Save autopod-history.csv")).to_be_visible()
    result = page.output(6).locator(".js-plotly-plot").nth(2)
    expect(result.locator("svg.main-svg").first).to_contain_text(IMAGE)
    result.locator(".bars .point path").first.hover(force=True)
    expect(result.locator(".hoverlayer")).to_contain_text(f"{IMAGE} on A40")
    page.shot("planted-figure", result)
    for at in (5, 6):
        for summary in page.output(at).locator("summary").all():
            summary.click()
    says(page.output(6).locator("table").nth(2), IMAGE, f"{IMAGE}2")
    assert_nothing_ran(page.page)
    assert page.errors == [], "\n".join(page.errors)
    assert page.dialogs == []


@pytest.mark.slow
def test_a_saved_notebook_shows_it_as_text_without_its_kernel_and_as_a_web_page(hostile: Opener) -> None:
    page = hostile(
        LOAD, "%autopod connect", _SWEEP, _ONE, _FAILS, "%autopod history", "%autopod logs -n 300", "%autopod status"
    )
    for at in range(5):
        assert page.run(at), page.text(at)
    for at, state in ((2, "● all done"), (3, "● done"), (4, "● failed")):
        expect(page.output(at).get_by_text(state)).to_be_visible()
    for at in (5, 6, 7):
        assert page.run(at), page.text(at)
    page.save()
    command = [sys.executable, "-m", "nbconvert", "--to", "html", str(page.file)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    web = page.page.context.new_page()
    web.goto(page.file.with_suffix(".html").as_uri())
    outputs = web.locator(".jp-Cell-outputWrapper")
    for at, texts in _STATIC.items():
        says(outputs.nth(at - 1), *texts)  # the first cell has none
    web.screenshot(path=page.shot("planted-saved").with_name("planted-web-page.png"), full_page=True)
    assert_nothing_ran(web)
    web.close()
    hostile.lab.shut_down(page.path)
    later = hostile.again(page.path)
    for at in (2, 3, 4, 6):  # where no widget stands
        says(later.output(at), *_STATIC[at])
    later.shot("planted-opened-again")
    assert_nothing_ran(later.page)
    assert later.dialogs == page.dialogs == []


@pytest.mark.slow
def test_a_strange_pod_with_such_a_name_is_shown_as_text(nb: Opener, rented: RunpodService) -> None:
    rented.rows(1, SCRIPT)
    page = nb(LOAD, "%autopod pods", "%autopod connect")
    for at in range(3):
        assert page.run(at), page.text(at)
    says(page.output(1), SCRIPT)
    expect(page.output(2).get_by_text("● ready")).to_be_visible()
    page.shot("planted-stranger", page.output(2))
    says(page.output(2), f"that this ledger does not know: {SCRIPT}")
    assert_nothing_ran(page.page)
    assert page.errors == [], "\n".join(page.errors)
    assert page.dialogs == []
