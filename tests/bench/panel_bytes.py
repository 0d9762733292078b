"""How many bytes a second go from a kernel to the browser, by the frames of the notebook's socket."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1
from playwright.sync_api import Page, expect

from tests.bench.panel_room import EMPTY, Room, run_cells
from tests.bench.run import Row, row
from tests.browser.cells import LOAD, sampler_cell

_BASE_S, _SPAN_S = 12.0, 20.0  # the heal comes every ten seconds: once at least, and twice
_BINARY = 2
_BEFORE_BUFFERS = 4  # header, parent header, metadata, content
_STEPS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What came from a kernel, in bytes a second; ``buffers``: the part that is pictures."""

    all: float
    buffers: float
    messages: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Figures:
    empty: Traffic
    idle: Traffic
    job: Traffic


def measure_idle(room: Room) -> Row:
    """While the dashboard of a ready pod without work is shown."""
    found = _measure(room)
    note = f"dashboard, {_SPAN_S:.0f} s with 2 heals, {found.idle.messages:.1f} messages/s; {_beside(found)}"
    return row("idle_bytes_per_s", found.idle.all, "B/s", 5000, note)


def measure_job(room: Room) -> Row:
    """While a job runs, without its previews."""
    found = _measure(room)
    note = (
        f"dashboard and job panel, {_SPAN_S:.0f} s, {found.job.messages:.1f} messages/s,"
        f" without {found.job.buffers / 1000:.0f} kB/s of previews; {_beside(found)}"
    )
    return row("job_bytes_per_s", found.job.all - found.job.buffers, "B/s", 60_000, note)


def _beside(found: _Figures) -> str:
    return f"empty panel {found.empty.all:.0f} B/s"


@cache
def _measure(room: Room) -> _Figures:
    """All three in one notebook."""
    with room.opener("bytes") as nb:
        job = sampler_cell(nb.template("slow"), "--name one", steps=_STEPS)
        page = nb(LOAD, EMPTY, "%autopod connect", job)
        wire = Wire(page.page)
        run_cells(page, 0, 1)
        empty = wire.traffic(_BASE_S)
        run_cells(page, 2)
        expect(page.output(2).get_by_text("● ready")).to_be_visible()
        expect(page.output(2).get_by_text("● live")).to_be_visible()
        idle = wire.traffic(_SPAN_S)
        run_cells(page, 3)
        expect(page.output(3)).to_contain_text(re.compile(rf"step \d+ of {_STEPS}"))
        return _Figures(empty=empty, idle=idle, job=wire.traffic(_SPAN_S))


class Wire:
    """Counts what the sockets of a page bring, from now on."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[bytes] = []
        devtools = page.context.new_cdp_session(page)
        devtools.on("Network.webSocketFrameReceived", self._take)
        devtools.send("Network.enable")

    def _take(self, event: dict[str, Any]) -> None:
        frame = event["response"]
        if frame["opcode"] == _BINARY:  # a kernel's; JupyterLab's other sockets speak text
            self._frames.append(base64.b64decode(frame["payloadData"]))

    def traffic(self, span_s: float) -> Traffic:
        """Listen for so long."""
        self._frames.clear()
        self._page.wait_for_timeout(span_s * 1000)
        frames = list(self._frames)
        return Traffic(
            all=sum(map(len, frames)) / span_s,
            buffers=sum(map(buffer_bytes, frames)) / span_s,
            messages=len(frames) / span_s,
        )


def buffer_bytes(frame: bytes) -> int:
    """The bytes of the binary buffers of a message in a kernel's frame."""
    _, parts = deserialize_msg_from_ws_v1(frame)  # type: ignore[no-untyped-call]  # it has no types
    return sum(map(len, parts[_BEFORE_BUFFERS:]))
