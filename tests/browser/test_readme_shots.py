"""The pictures of the README, taken of the real thing in the light theme, each when what it is to show is there.

``python -m tests.browser.keep_shots`` makes them small and puts them into ``notebooks/shots``.
"""

from __future__ import annotations

import re
import shutil

import pytest
from playwright.sync_api import Locator, expect

from tests.browser import scripts
from tests.browser.cells import LOAD, sampler_cell
from tests.browser.keep_shots import PREFIX
from tests.browser.lab import ROOT
from tests.browser.opened import Opener
from tests.browser.page import Notebook
from tests.fakes.service import RunpodService

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
_DELETE = "DELETE /v2/pods/{id}"
_WIDE = 900
_PANEL, _CARD = ".autopod-panel", ".autopod-card"
_BASIC = """%%comfyjob img2vid-basic --name NAME --max-cost 0.05
inputs:
  image: jobs/inputs/portrait.jpg
params:
  width: SIZE
  height: SIZE"""
_WAN = """%%comfyjob img2vid-wan --name smile --max-cost 0.05
inputs:
  image: jobs/inputs/portrait.jpg
params:
  prompt: She turns to the camera and smiles.
  steps: STEPS"""


def basic(name: str, size: int) -> str:
    return _BASIC.replace("NAME", name).replace("SIZE", str(size))


def wan(steps: int) -> str:
    return _WAN.replace("STEPS", str(steps))


def opened(nb: Opener, *cells: str) -> Notebook:
    """A notebook with our inputs beside it, as high as a picture may want."""
    shutil.copytree(ROOT / "jobs", nb.folder / "jobs")
    page = nb(LOAD, *cells)
    page.theme("JupyterLab Light")
    page.page.set_viewport_size({"width": _WIDE, "height": 1400})
    return page


def take(page: Notebook, name: str, of: Locator) -> None:
    """Take it of something, in a notebook in which no cell is chosen."""
    page.page.evaluate(f"() => {{ {scripts.PANEL}.content.activeCellIndex = 0; document.activeElement.blur() }}")
    page.shot(f"{PREFIX}{name}", of)


def test_a_cell_and_its_video(nb: Opener) -> None:
    page = opened(nb, "%autopod connect", basic("portrait", 384))
    for at in range(3):
        assert page.run(at)
    video = page.output(2).locator("video")
    expect(page.button("Run again", 2)).to_be_visible()
    page.plays(video)
    video.evaluate("video => video.pause()")
    take(page, "quickstart", page.cell(2))


def test_a_job_at_work(nb: Opener) -> None:
    page = opened(nb, "%autopod connect", "%autopod wait", wan(30))
    for at in range(4):
        assert page.run(at)
    panel = page.output(3).locator(_PANEL)
    expect(panel).to_contain_text(re.compile(r"step (1[5-9]|2\d) of 30"))
    expect(panel.locator("img:visible")).to_be_visible()
    take(page, "job", panel)


def test_the_control_room_with_a_rented_pod_and_its_end(nb: Opener, rented: RunpodService) -> None:
    slow = nb.template("slow")
    jobs = [sampler_cell(slow, f"--name {name}", steps=steps) for name, steps in (("harbour", 200), ("forest", 60))]
    page = opened(nb, "%autopod connect --max-cost 0.02", f"{basic('portrait', 256)}", "%autopod wait", *jobs,
                  "%autopod panel")  # fmt: skip
    for at in range(7):
        assert page.run(at)
    room = page.output(6).locator(_PANEL).first
    expect(room.get_by_text("● live").first).to_be_visible()
    page.button("Logs", 6).click()
    expect(room.get_by_role("log", name=re.compile("ComfyUI's log"))).to_contain_text("got prompt")
    expect(room).to_contain_text(re.compile(r"step [3-9]\d of 200"))
    take(page, "control-room", room)
    page.button("Logs", 6).click()
    rented.arm("hang_after", _DELETE, seconds=6.0)
    page.button(re.compile("^Kill "), 6).click()
    page.button("Kill anyway", 6).click()  # there are results that are not here yet
    expect(room).to_contain_text("terminating – still billing until the provider confirms")
    take(page, "kill", room)
    expect(room.get_by_text("● terminated")).to_be_visible()


def test_comfyui_beside_the_job(nb: Opener) -> None:
    page = opened(nb, "%autopod connect", "%autopod wait", wan(60))
    for at in range(4):
        assert page.run(at)
    page.button("Open ComfyUI", 3).click()
    frame = page.output(3).frame_locator("iframe")
    expect(frame.get_by_text("connected")).to_be_visible()
    expect(frame.get_by_text("1 job")).to_be_visible()
    expect(page.output(3)).to_contain_text(re.compile(r"step (2[5-9]|[34]\d) of 60"))
    take(page, "comfyui", page.output(3).locator(_PANEL))


def test_what_was_paid_for_what(nb: Opener) -> None:
    jobs = [basic(name, size) for name, size in (("small", 256), ("large", 512))]
    page = opened(nb, "%autopod connect", *jobs, "%autopod wait", "%autopod jobs --plot", "%autopod costs --plot")
    for at in range(7):
        assert page.run(at)
    expect(page.output(5).locator(".gtitle", has_text="Pods and jobs")).to_be_visible()
    take(page, "time", page.output(5).locator(".js-plotly-plot").first)
    expect(page.output(6).locator(".gtitle", has_text="Waste")).to_be_visible()
    take(page, "waste", page.output(6).locator(".js-plotly-plot").last)
