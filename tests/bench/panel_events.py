"""How long a step of a job takes from ComfyUI's socket to the screen."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence

from playwright.sync_api import expect

from tests.bench.panel_room import Room, run_cells
from tests.bench.panel_scripts import NUMBERS
from tests.bench.run import Row, row
from tests.browser.cells import LOAD, sampler_cell

_EVENTS = 120  # 0.18 s a step
_UNSEEN = 20  # before somebody looks
_BARE_AT, _JOB_AT = 1, 3
_TAP = """
import queue, threading, time
import ipywidgets
from autopod_nb.comfyui import monitor
from autopod_nb.models.event import StepProgress

came, todo, decode = [], queue.SimpleQueue(), monitor.decode_text
bar, label = ipywidgets.FloatProgress(max=100000), ipywidgets.Label("step 0 of all")

def tap(frame):
    at_ms = time.time() * 1000
    events = list(decode(frame))
    for event in events:
        if isinstance(event, StepProgress):
            came.append((event.value, at_ms))
            todo.put(event.value)
    return events

def draw():
    while True:
        step = todo.get()
        bar.value, label.value = step, f"step {step:g} of all"

monitor.decode_text = tap
threading.Thread(target=draw, daemon=True).start()
ipywidgets.HBox([bar, label])
"""
"""Notes when each step's frame is read from the socket, and has a thread show it without our panels."""


def measure(room: Room, count: int = _EVENTS) -> Row:
    """The 95th percentile over the steps of a sampler, beside a bar and a label that a thread sets at once."""
    with room.opener("events") as nb:
        job = sampler_cell(nb.template("slow"), "--name one", steps=count + _UNSEEN)
        page = nb(LOAD, _TAP, "%autopod connect", job)
        run_cells(page, 0, 1, 2, 3)
        for at in (_BARE_AT, _JOB_AT):
            expect(page.output(at)).to_contain_text(re.compile(r"step \d+ of"))
            page.output(at).evaluate(NUMBERS, r"step (\d+) of")
        expect(page.output(_JOB_AT).get_by_text("● done")).to_be_visible()
        came: list[tuple[float, float]] = page.ask("came")
        ours, bare = (
            delays(came, page.output(at).evaluate("output => output.autopodNumbers"))[:count]
            for at in (_JOB_AT, _BARE_AT)
        )
    note = (
        f"{len(ours)} steps, from ComfyUI's frame in the kernel to the panel; median {statistics.median(ours):.0f},"
        f" max {max(ours):.0f}; a bar and a label set at once: p95 {_p95(bare):.0f}"
    )
    return row("event_to_screen_p95_ms", _p95(ours), "ms", 250, note)


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[18]


def delays(came: Sequence[tuple[float, float]], seen: Sequence[tuple[float, float]]) -> list[float]:
    """Milliseconds until each number that came, or a newer one, was seen; those before the first look are left out.

    Args:
        came: number and time, growing.
        seen: the same, in a browser that may leave numbers out.
    """
    found = []
    for number, at_ms in came:
        shown_ms = next((shown_ms for shown, shown_ms in seen if shown >= number), None)
        if shown_ms is not None and number >= seen[0][0]:
            found.append(shown_ms - at_ms)
    return found
