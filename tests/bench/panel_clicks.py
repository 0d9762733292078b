"""How soon a person sees that the kernel has taken their click, while it is idle and while it runs a cell.

The panel's line says ``sent …`` at once by itself, which is not counted: what is, is the kernel's own answer, which
comes as a message or by HTTP, whichever is first.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from functools import cache

from playwright.sync_api import TimeoutError as Late
from playwright.sync_api import expect

from tests.bench.panel_room import Room, run_cells
from tests.bench.panel_scripts import TAKEN, TAKEN_COUNT
from tests.bench.run import Row, row
from tests.browser.cells import LOAD
from tests.browser.page import Notebook
from tests.browser.scripts import WAIT_MS

_CLICKS = 15
_CAP_S = 3.0  # how long the bare button is given while a cell runs
_BARE = """
import ipywidgets
label = ipywidgets.Label("0")
bare = ipywidgets.Button(description="Bare")
bare.on_click(lambda _: setattr(label, "value", str(int(label.value) + 1)))
ipywidgets.VBox([bare, label])
"""
_LOOP = """
import time
print("it runs", flush=True)
end = time.monotonic() + 60
while time.monotonic() < end: sum(range(1000))
"""
_PANEL_AT, _BARE_AT, _LOOP_AT = 1, 2, 3
_LABEL = ".widget-label"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    """Milliseconds. ``bare_busy``: of a click that waits for the cell; None if it outlasts the cap."""

    idle: list[float]
    bare: list[float]
    busy: list[float]
    bare_busy: float | None


def measure_idle(room: Room) -> Row:
    """The median of clicks on *Keep alive*, beside a button whose callback sets a label."""
    found = _measure(room)
    bare_ms = statistics.median(found.bare)
    note = (
        f"the kernel's answer in the panel's line; {_spread(found.idle)}; a bare button {bare_ms:.1f}, aim twice that"
    )
    return row("click_taken_idle_ms", statistics.median(found.idle), "ms", 2 * bare_ms, note)


def measure_busy(room: Room) -> Row:
    """The slowest of the clicks on *Keep alive* while a cell runs a loop in Python."""
    found = _measure(room)
    waits = f"over {_CAP_S * 1000:.0f}, given up" if found.bare_busy is None else f"{found.bare_busy:.0f}"
    note = f"the kernel's answer in the panel's line; {_spread(found.busy)}; a bare button waits for the cell: {waits}"
    return row("click_taken_busy_ms", max(found.busy), "ms", 300, note)


def _spread(times: list[float]) -> str:
    return f"{len(times)} clicks, median {statistics.median(times):.1f}, {min(times):.1f} to {max(times):.1f}"


@cache
def _measure(room: Room) -> _Figures:
    """Both in one notebook."""
    with room.opener("clicks") as nb:
        page = nb(LOAD, "%autopod connect", _BARE, _LOOP)
        run_cells(page, 0, _PANEL_AT, _BARE_AT)
        expect(page.output(_PANEL_AT).get_by_text("● ready")).to_be_visible()
        expect(page.button(re.compile("Control page"), _PANEL_AT)).to_be_visible()  # both roads are known
        panel, bare = _Presses(page, _PANEL_AT, "Keep alive", ".autopod-said"), _Presses(page, _BARE_AT, "Bare", _LABEL)
        idle_ms, bare_ms = [], []
        for _ in range(_CLICKS):
            bare_ms.append(bare.press())
            idle_ms.append(panel.press())
        page.start(_LOOP_AT)
        expect(page.output(_LOOP_AT)).to_contain_text("it runs")
        busy_ms = [panel.press() for _ in range(_CLICKS)]
        try:
            waits_ms = bare.press(_CAP_S)
        except Late:
            waits_ms = None
        page.interrupt()
        page.wait(_LOOP_AT)
        return _Figures(idle=idle_ms, bare=bare_ms, busy=busy_ms, bare_busy=waits_ms)


class _Presses:
    """Clicks on a button, as a mouse makes them, one after the other.

    Args:
        page: the notebook.
        at: the cell that the button is below.
        button: what is on it.
        place: selector of what says that a click was taken.
    """

    def __init__(self, page: Notebook, at: int, button: str, place: str) -> None:
        self._page, self._output, self._button = page, page.output(at), page.button(button, at)
        self._count = 0
        self._output.evaluate(TAKEN, [place, "sent …"])

    def press(self, within_s: float = WAIT_MS / 1000) -> float:
        """Milliseconds from a click to the answer.

        Raises:
            playwright.sync_api.TimeoutError: there was none within that time.
        """
        self._button.click()
        self._count += 1
        self._page.page.wait_for_function(
            TAKEN_COUNT, arg=[self._output.element_handle(), self._count], timeout=within_s * 1000
        )
        took_ms: float = self._output.evaluate("output => output.autopodTaken.at(-1)")
        return took_ms
