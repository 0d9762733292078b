"""How much the panels of a notebook add to its file."""

from __future__ import annotations

import json
import re

from playwright.sync_api import expect

from tests.bench.panel_room import EMPTY, Room, run_cells
from tests.bench.run import Row, row
from tests.browser.cells import LOAD, sampler_cell, video_cell
from tests.browser.page import Notebook

_PANELS = ("%autopod panel", "%autopod status", "%autopod costs", "%autopod history")
_EMPTY_AT, _DONE_AT, _RUNS_AT, _PANELS_AT = 1, 2, 3, 4
_MEDIA = re.compile(r"data:[a-z]+/[a-z0-9.+-]+;base64,[A-Za-z0-9+/=]*")
_MANAGER = "@jupyter-widgets/jupyterlab-manager:plugin"
_STATE = "application/vnd.jupyter.widget-state+json"


def measure(room: Room) -> Row:
    """Dashboard, a job that is done and one that runs, status, costs and history, as JupyterLab saves them."""
    with room.opener("growth") as nb:
        jobs = video_cell("--name one"), sampler_cell(nb.template("slow"), "--name two", steps=2000)
        page = nb(LOAD, EMPTY, *jobs, *_PANELS)
        bare_kb = _saved_kb(page)
        run_cells(page, 0, _EMPTY_AT)
        empty_kb = _saved_kb(page)
        run_cells(page, _DONE_AT)
        expect(page.output(_DONE_AT).locator("video")).to_be_visible()
        run_cells(page, _RUNS_AT)
        expect(page.output(_RUNS_AT)).to_contain_text(re.compile(r"step \d+ of"))
        run_cells(page, *range(_PANELS_AT, _PANELS_AT + len(_PANELS)))
        panels_kb = _saved_kb(page)
        with nb.lab.setting(_MANAGER, saveState=True):
            page.reload()
            expect(page.output(_PANELS_AT).get_by_text("● live")).to_be_visible()
            state_kb = _saved_kb(page)
    note = (
        f"dashboard, job that is done, job that runs, status, costs, history, without media;"
        f" an empty panel {empty_kb - bare_kb:.1f}; with the state of all widgets {state_kb - empty_kb:.0f}"
    )
    return row("notebook_growth_kb", panels_kb - empty_kb, "kB", 50, note)


def _saved_kb(page: Notebook) -> float:
    page.save()
    text = page.file.read_text(encoding="utf-8")
    return (len(text.encode()) - media_bytes(text)) / 1000


def media_bytes(notebook: str) -> int:
    """How much of a notebook's file is pictures, sounds and videos: in its cells, and in the state of its widgets."""
    inline = sum(len(found) for found in _MEDIA.findall(notebook))
    state = json.loads(notebook)["metadata"].get("widgets", {}).get(_STATE, {}).get("state", {})
    buffers = [buffer["data"] for model in state.values() for buffer in model.get("buffers", [])]
    return inline + sum(map(len, buffers))
