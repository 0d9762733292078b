"""The rows of the benchmark can be measured: their figures are judged by ``make bench``, not here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1

from tests.bench import event_to_snapshot, panel_bytes, panel_clicks, panel_events, panel_first, panel_growth
from tests.bench.panel_room import Room
from tests.bench.run import Row
from tests.browser.chromium import NO_CHROMIUM, find_chromium

_PANEL_ROWS: dict[str, tuple[Callable[[Room], Row], str]] = {
    "panel_first_ms": (lambda room: panel_first.measure(room, rounds=2), "ms"),
    "click_taken_idle_ms": (panel_clicks.measure_idle, "ms"),
    "click_taken_busy_ms": (panel_clicks.measure_busy, "ms"),
    "event_to_screen_p95_ms": (lambda room: panel_events.measure(room, count=20), "ms"),
    "idle_bytes_per_s": (panel_bytes.measure_idle, "B/s"),
    "job_bytes_per_s": (panel_bytes.measure_job, "B/s"),
    "notebook_growth_kb": (panel_growth.measure, "kB"),
}


def test_every_event_reaches_a_snapshot() -> None:
    row = event_to_snapshot.measure(count=40)  # two seconds: the ticks of the session come in between
    assert (row.name, row.unit, row.aim) == ("event_to_snapshot_p99_ms", "ms", 50)
    assert row.value > 0


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    if find_chromium() is None:
        pytest.skip(NO_CHROMIUM)
    room = Room()
    yield room
    room.close()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("name", _PANEL_ROWS)
def test_what_a_panel_takes_can_be_measured_in_a_browser(room: Room, name: str) -> None:
    measure, unit = _PANEL_ROWS[name]
    row = measure(room)
    assert (row.name, row.unit) == (name, unit)
    assert row.value > 0
    assert row.aim > 0


def test_without_chromium_there_is_no_figure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="no Chromium"), Room().opener("none"):
        pytest.fail("opened")


def test_a_step_that_the_browser_left_out_is_seen_with_the_next_one() -> None:
    """Those before somebody looked, and those that were never seen, have no delay."""
    came = [(1, 100.0), (2, 200.0), (3, 300.0), (4, 400.0), (5, 500.0)]
    assert panel_events.delays(came, [(2, 210.0), (4, 405.0)]) == [10.0, 105.0, 5.0]
    assert panel_events.delays(came, []) == []


def test_the_pictures_of_a_message_are_told_from_its_words() -> None:
    words = [b"{}", b"{}", b"{}", b'{"data": 1}']
    frame = serialize_msg_to_ws_v1([*words, b"x" * 70, b"y" * 7], "iopub")  # type: ignore[no-untyped-call]  # no types
    assert panel_bytes.buffer_bytes(frame) == 77
    plain = serialize_msg_to_ws_v1(words, "iopub")  # type: ignore[no-untyped-call]  # it has no types
    assert panel_bytes.buffer_bytes(plain) == 0


def test_the_media_of_a_notebook_are_told_from_its_panels() -> None:
    video = "data:video/mp4;base64,AAAA/+=="
    model = {"model_name": "ImageModel", "buffers": [{"path": ["value"], "encoding": "base64", "data": "QUJD"}]}
    html = f'<p>data: none</p><video src="{video}"></video>'
    output = {"output_type": "display_data", "data": {"text/html": [html]}, "metadata": {}}
    notebook = {
        "cells": [{"cell_type": "code", "outputs": [output]}],
        "metadata": {"widgets": {"application/vnd.jupyter.widget-state+json": {"state": {"a": model, "b": {}}}}},
    }
    assert panel_growth.media_bytes(json.dumps(notebook)) == len(video) + len("QUJD")
    assert panel_growth.media_bytes(json.dumps({"cells": [], "metadata": {}})) == 0
