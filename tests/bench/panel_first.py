"""How long ``%autopod panel`` takes to stand in the browser."""

from __future__ import annotations

import statistics

from tests.bench.panel_room import EMPTY, Room, run_cells
from tests.bench.panel_scripts import SHOWN
from tests.bench.run import Row, row
from tests.browser.cells import LOAD, sampler_cell

_ROUNDS = 9
_HTML = ".widget-html-content"
_WHOLE = [[_HTML, "Session:"], [_HTML, "● busy"], ["button", "Kill"], [_HTML, "one"], ["button", "Cancel"]]
_LIVE = [[".autopod-live", "● live"]]
_NOTHING = [[_HTML, "an empty panel"]]
_AT_REST = "__import__('autopod_nb.widgets.pump', fromlist=['_']).the_pump().close()"
_PANEL_AT, _EMPTY_AT = 3, 4


def measure(room: Room, rounds: int = _ROUNDS) -> Row:
    """From the start of the cell until pod and job stand there with their buttons, beside a box with one line."""
    with room.opener("first") as nb:
        job = sampler_cell(nb.template("slow"), "--name one", steps=2000)
        page = nb(LOAD, "%autopod connect", job, "%autopod panel", EMPTY)
        run_cells(page, 0, 1, 2, 3, 4)
        whole, live, empty = [], [], []
        for _ in range(rounds):
            page.ask(_AT_REST)  # or the panels of earlier rounds would be drawn all the while
            empty += page.page.evaluate(SHOWN, [_EMPTY_AT, [_NOTHING]])
            whole_ms, live_ms = page.page.evaluate(SHOWN, [_PANEL_AT, [_WHOLE, _LIVE]])
            whole.append(whole_ms)
            live.append(live_ms)
    empty_ms = statistics.median(empty)
    note = (
        f"median of {rounds}, {min(whole):.0f} to {max(whole):.0f}, live after {statistics.median(live):.0f};"
        f" an empty panel {empty_ms:.0f} ({min(empty):.0f} to {max(empty):.0f}), aim three times that"
    )
    return row("panel_first_ms", statistics.median(whole), "ms", 3 * empty_ms, note)
