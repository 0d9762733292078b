import re
import pytest
from playwright.sync_api import expect
from tests.browser.test_looks import _open, _PANELS
from tests.browser.cells import LOAD
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_c(nb, theme):
    page = _open(nb); page.theme(f"JupyterLab {theme}")
    print(theme, {n: page.unreadable(page.output(at), 4.5) for at, n in _PANELS.items()})
@pytest.mark.parametrize("ipykernel", ["7.4","7.3"])
def test_k(nb, rented):
    page = nb(LOAD, "%autopod connect"); page.run(0); page.run(1)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    p = page.press(page.button(re.compile("^Kill "), 1))
    expect(page.output(1).get_by_text("● terminated")).to_be_visible()
    print("latency", [e["at"] - p for e in rented.requests("DELETE /v2/pods/{id}")], page.errors)
