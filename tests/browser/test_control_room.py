"""The dashboard: buttons that work while a cell runs, ComfyUI beside the job, and what its line says."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.cells import LOAD, sampler_cell, video_cell
from tests.browser.opened import BOTH, Opener
from tests.fakes.service import RunpodService

_KILL = re.compile(r"^Kill [0-9a-f]{6}$")
_DELETE = "DELETE /v2/pods/{id}"
_BUSY = {
    "a cell that sleeps": "import time\ntime.sleep(60)",
    "a loop in Python": "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: sum(range(1000))",
}


@pytest.mark.parametrize(
    "busy", [pytest.param(name, marks=[] if "loop" in name else pytest.mark.slow) for name in _BUSY]
)
@pytest.mark.parametrize("ipykernel", [BOTH[0], pytest.param(BOTH[1], marks=pytest.mark.slow)])
def test_kill_works_while_a_cell_runs(nb: Opener, rented: RunpodService, busy: str) -> None:
    page = nb(LOAD, "%autopod connect", _BUSY[busy])
    assert page.run(0)
    assert page.run(1)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    expect(page.output(1).get_by_text("● live")).to_be_visible()
    page.start(2)
    pressed_s = page.press(page.button(_KILL, 1))
    expect(page.output(1).get_by_text("is being terminated")).to_be_visible()
    expect(page.output(1).get_by_text("● terminated")).to_be_visible()
    (end,) = rented.requests(_DELETE)
    assert 0 < end["at"] - pressed_s < 1.0
    page.interrupt()
    assert not page.wait(2)


@pytest.mark.slow
@pytest.mark.parametrize("base_url", ["/", "/user/joe/"])
def test_comfyui_stands_beside_the_job(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", sampler_cell(nb.template("slow"), "--name one", steps=300))
    assert page.run(0)
    assert page.run(1)
    assert page.run(2)
    expect(page.output(2)).to_contain_text(re.compile(r"step \d+ of 300"))
    page.button("Open ComfyUI", 2).click()
    frame = page.output(2).frame_locator("iframe")
    expect(frame.get_by_text("connected")).to_be_visible()  # its socket, too
    expect(frame.get_by_text("1 job")).to_be_visible()
    expect(page.output(2).get_by_role("link", name="Open in a tab")).to_be_visible()
    page.shot("comfyui-beside-the-job", page.output(2))
    page.button("Close ComfyUI", 2).click()
    expect(page.output(2).locator("iframe")).to_have_count(0)
    assert page.errors == []


@pytest.mark.slow
def test_the_dashboard_shows_money_pods_queue_and_a_log(nb: Opener) -> None:
    slow = nb.template("slow")
    cells = [sampler_cell(slow, f"--name {name}", steps=40) for name in ("one", "two")]
    page = nb(LOAD, "%autopod connect", *cells, "%autopod panel")
    for at in range(5):
        assert page.run(at)
    room = page.output(4)
    expect(room.get_by_role("img", name=re.compile("of the session's limit"))).to_be_visible()
    expect(room.get_by_text("● live")).to_be_visible()
    expect(room.get_by_text("Today (UTC)")).to_be_visible()
    page.button("Logs", 4).click()
    expect(room.get_by_role("log", name=re.compile("ComfyUI's log"))).to_contain_text("got prompt")
    page.shot("dashboard", room)
    page.button("Cancel", 4).last.click()
    expect(room.get_by_text("● cancelled")).to_be_visible()
    page.width(480)
    assert page.overflowing(room) == []
    page.shot("dashboard-480", room)
    page.width(1280)
    page.theme("JupyterLab Dark")
    page.shot("dashboard-dark", room)
    assert page.unreadable(room) == []
    assert page.errors == []


@pytest.mark.slow
def test_a_result_can_be_made_once_more_from_its_card(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect", video_cell("--name one"), "%autopod panel")
    for at in range(3):
        assert page.run(at)
    expect(page.output(2).locator("video")).to_be_visible()
    assert page.run(3)
    page.button("Run again", 2).click()
    expect(page.output(3).get_by_text("one-2").first).to_be_visible()
    expect(page.output(2).get_by_role("status").filter(has_text="queued")).to_be_visible()
    expect(page.output(2).get_by_text("one-2").first).to_be_visible()  # below the card, though cell 3 ran since
    expect(page.output(2).locator("video")).to_have_count(2)
    expect(page.button("Run again", 2)).to_have_count(2)
    page.shot("job-card-again", page.output(2))
    page.button("Run again", 2).last.click()
    expect(page.output(2).locator("video")).to_have_count(3)
    page.save()
    shown = [output.get("data", {}).get("text/html", "") for output in page.saved().cells[2].outputs]
    assert [sum(mark in html for html in shown) for mark in ("<video", "autopod-stand-in")] == [3, 3]


@pytest.mark.slow
def test_the_control_page_acts_with_the_token_of_its_address_and_only_shows_without(nb: Opener) -> None:
    page = nb(LOAD, "%autopod connect")
    assert page.run(0)
    assert page.run(1)
    expect(page.output(1).get_by_text("● ready")).to_be_visible()
    with page.page.context.expect_page() as opened:
        page.button(re.compile("Control page"), 1).click()
    control = opened.value
    expect(control.get_by_role("button", name=re.compile("Kill")).first).to_be_visible()
    assert "#" not in control.url
    control.reload()
    expect(control.get_by_role("button", name=re.compile("Kill")).first).to_be_enabled()
    control.screenshot(path=str(page.shot("dashboard-with-link", page.output(1)).with_name("control-page.png")))
    control.get_by_role("button", name=re.compile("Kill")).first.click()
    expect(page.output(1).get_by_text("● terminated")).to_be_visible()
    control.close()
