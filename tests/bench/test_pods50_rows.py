"""The rows about many pods can be measured with few, through SSH and in a real kernel, and believe nobody's word."""

from __future__ import annotations

import pytest

from tests.bench import pods50


def test_every_row_has_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = pods50.measure(3, 2.0, 5)
    monkeypatch.setattr(pods50, "_figures", lambda: figures)
    rows = [pods50.cpu(), pods50.delay(), pods50.memory(), pods50.answer(), pods50.stop()]
    assert [(row.name, row.aim) for row in rows] == [
        ("pods50_cpu_cores", 0.5),
        ("pods50_event_p99_ms", 250),
        ("pods50_mb_per_pod", 3),
        ("cell_answer_ms_with_50_pods", 50),
        ("pods50_stop_s", 10),
    ]
    assert figures.cpu_cores > 0
    assert figures.server_cores > 0
    assert rows[-1].ok  # ten seconds are promised


def test_delays_are_those_of_the_first_snapshot_that_shows_a_step_or_a_later_one() -> None:
    sent = [[10.0 + number / 10 for number in range(30)]]
    seen = {"0": [[2.0, 10.15], [3.0, 10.25], *([[number, 9.95 + number / 10] for number in range(4, 31)])]}
    delays = pods50.delays_ms(sent, seen, 10.0, 12.0)
    assert delays[:3] == pytest.approx([150, 50, 50])
    assert len(delays) == 10


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        ({}, "0 of 1 pods were seen"),
        ({"0": [[4.0, 10.5]]}, "step 5 was sent and never seen"),
    ],
)
def test_what_was_never_seen_is_no_delay(seen: dict[str, list[list[float]]], why: str) -> None:
    with pytest.raises(RuntimeError, match=why):
        pods50.delays_ms([[10.0 + number / 10 for number in range(30)]], seen, 10.0, 12.0)


def test_a_server_that_sends_too_little_is_no_measure() -> None:
    with pytest.raises(RuntimeError, match="too slow"):
        pods50.delays_ms([[10.0, 10.5]], {"0": [[2.0, 10.6]]}, 10.0, 12.0)
