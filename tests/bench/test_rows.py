"""The rows of the benchmark can be measured: their figures are judged by ``make bench``, not here."""

from __future__ import annotations

from tests.bench import event_to_snapshot


def test_every_event_reaches_a_snapshot() -> None:
    row = event_to_snapshot.measure(count=40)  # two seconds: the ticks of the session come in between
    assert (row.name, row.unit, row.aim) == ("event_to_snapshot_p99_ms", "ms", 50)
    assert row.value > 0
