"""JupyterLab without what it usually has: no widget manager, no server proxy. What is left works, or says how."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.browser.cells import LOAD, sampler_cell
from tests.browser.lab import Lab
from tests.browser.looks import wrong_looks
from tests.browser.opened import Opener

pytestmark = pytest.mark.slow
_ELSEWHERE = "remote.localhost"  # a browser takes it for this machine, and our scripts do not
_NO_MANAGER = {"labconfig/page_config.json": {"disabledExtensions": {"@jupyter-widgets/jupyterlab-manager": True}}}
_NO_PROXY = {
    "jupyter_server_config.json": {
        "ServerApp": {
            "jpserver_extensions": {"jupyter_server_proxy": False},
            "local_hostnames": ["localhost", _ELSEWHERE],
        }
    }
}


@pytest.fixture
def lab(chromium: str, tmp_path: Path, settings: dict[str, Any]) -> Iterator[Lab]:
    """A server with these files among its settings."""
    folder = tmp_path / "settings"
    for name, content in settings.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(content))
    lab = Lab(tmp_path / "lab", environ={"JUPYTER_CONFIG_PATH": str(folder)})
    yield lab
    lab.close()


@pytest.mark.parametrize("settings", [_NO_MANAGER])
def test_without_a_widget_manager_cards_stand_in_and_the_result_comes_to_its_cell(nb: Opener) -> None:
    slow = sampler_cell(nb.template("slow"), "--name one", steps=10)
    shown = ["%autopod status", "%autopod history", "%autopod gui", "%autopod doctor"]
    page = nb(LOAD, "%autopod connect", slow, "%autopod wait", *shown)
    for at in range(4):
        assert page.run(at), page.text(at)
    expect(page.output(1).get_by_role("region", name="autopod session")).to_contain_text("A40 × 1 (local")
    card = page.output(2).get_by_role("region", name="Job one")
    expect(card).to_contain_text("● done")
    expect(card.get_by_role("img")).to_have_js_property("naturalWidth", value=64)
    for at in range(4, 8):
        assert page.run(at), page.text(at)
    expect(page.output(4).get_by_role("region", name="autopod session")).to_contain_text("● ready")
    expect(page.output(5).locator("table")).to_contain_text("one")
    expect(page.output(6).get_by_role("link").first).to_have_attribute("href", re.compile("^http:.{2}127.0.0.1:"))
    wrong = [wrong_looks(page, at, f"no-manager-{at}") for at in (1, 2, 4, 5, 6)]
    assert page.output(1).locator(".jupyter-widgets").count() == 0
    assert not any(wrong), wrong
    assert [each for each in page.errors if each.startswith("script:")] == []  # JupyterLab itself complains a lot


@pytest.mark.parametrize("settings", [_NO_PROXY])
def test_without_a_server_proxy_the_browser_of_the_same_machine_needs_none(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", "%autopod gui")
    assert nb.lab.api("GET", "proxy/9/").status_code == 404
    for at in range(2):
        assert page.run(at)
    expect(page.button(re.compile("Control page"), 1)).to_be_visible()
    expect(page.output(1).get_by_text("● ready").filter(visible=True)).to_be_visible()
    assert page.run(2)
    expect(page.output(2).frame_locator("iframe").get_by_text("connected")).to_be_visible()
    assert [each for each in page.errors if "server-proxy/servers-info" not in each] == [], "but the proxy's own"


@pytest.mark.parametrize("settings", [_NO_PROXY])
def test_without_a_server_proxy_a_browser_elsewhere_says_what_to_install_and_buttons_work(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", "%autopod gui")

    def refuse(route: Route) -> None:
        route.abort()

    page.page.route(re.compile(r"^http://127\.0\.0\.1:"), refuse)
    page.page.goto(nb.lab.page_url(page.path).replace("127.0.0.1", _ELSEWHERE))
    page.wait_ready()
    for at in range(2):
        assert page.run(at)
    expect(page.output(1).get_by_text("● ready").filter(visible=True)).to_be_visible()
    expect(page.output(1).get_by_text("● live")).to_be_visible()
    expect(page.button(re.compile("Control page"), 1)).to_have_count(0)
    assert page.run(2)
    words = page.output(2).get_by_role("status").filter(has_text="The browser finds no way to pod")
    expect(words).to_contain_text("`pip install jupyter-server-proxy` in the server’s environment")
    assert wrong_looks(page, 2, "no-proxy") == {}
    page.button(re.compile("^Kill "), 1).click()
    expect(page.output(1).get_by_text("● terminated").filter(visible=True)).to_be_visible()
    expect(words).to_have_count(0)
    expect(page.output(2)).to_contain_text("is gone, and its ComfyUI with it.")
