from __future__ import annotations

from datetime import datetime, timezone

import pytest

from autopod_nb.providers.runpod_limits import RateLimits, Window, retry_after_s, windows

_NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ('"minute";r=57;t=12, "hour";r=2900;t=3000', (Window(57, 112.0), Window(2900, 3100.0))),
        ("limit=60, remaining=5;reset=7", (Window(5, 107.0),)),
        ("", ()),
        ('"minute";r=x;t=1', ()),
    ],
)
def test_the_header_is_read_in_its_old_and_new_form(header: str, found: tuple[Window, ...]) -> None:
    assert windows(header, 100.0) == found


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 0 ", 0.0), ("Tue, 24 Nov 2026 12:00:30 GMT", 30.0), ("soon", None), (None, None)],
)
def test_how_long_to_wait_comes_as_a_number_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, _NOW) == seconds


def test_reads_leave_the_last_requests_of_a_window_to_what_saves_money() -> None:
    limits = RateLimits()
    limits.note({"RateLimit": '"minute";r=3;t=20'}, 100.0)
    assert limits.hold_s(100.0) == 0
    limits.note({"RateLimit": '"minute";r=2;t=20, "hour";r=900;t=3000'}, 100.0)
    assert limits.hold_s(100.0) == 20.0
    assert limits.hold_s(121.0) == 0
    limits.note({}, 122.0)
    assert limits.hold_s(110.0) == 10.0, "an answer without the header changes nothing"


def test_polls_take_half_of_what_is_left_and_are_never_slower_than_ten_seconds() -> None:
    limits = RateLimits()
    assert limits.pace_s(0.0) == 0
    limits.note({"RateLimit": '"minute";r=60;t=60'}, 0.0)
    assert limits.pace_s(0.0) == 2.0
    limits.note({"RateLimit": '"minute";r=6000;t=60'}, 0.0)
    assert limits.pace_s(0.0) == pytest.approx(0.02)
    limits.note({"RateLimit": '"hour";r=3;t=3000'}, 0.0)
    assert limits.pace_s(0.0) == 10.0
    assert limits.pace_s(3001.0) == 0
