from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.rate import Rate


def test_a_steady_line_has_its_rate_and_an_end() -> None:
    rate = Rate()
    for second in range(4):
        rate.report(second * 1_000_000, float(second))
    assert rate.bytes_per_s(3.0) == 1_000_000
    assert rate.left_s(10_000_000, 3.0) == 7.0


def test_before_two_moments_nobody_knows() -> None:
    rate = Rate()
    assert rate.bytes_per_s(0.0) is None
    assert rate.left_s(10, 0.0) is None
    rate.report(5, 0.0)
    assert rate.bytes_per_s(0.0) is None
    assert rate.left_s(10, 0.0) is None


def test_what_was_there_before_is_not_fast() -> None:
    rate = Rate()
    rate.report(9_000_000, 0.0)
    rate.report(9_500_000, 1.0)
    assert rate.bytes_per_s(1.0) == 500_000
    assert rate.left_s(10_000_000, 1.0) == 1.0


def test_it_follows_a_line_that_changes_and_falls_while_nothing_comes() -> None:
    rate = Rate(span_s=5.0)
    for second in range(20):
        rate.report(min(second, 10) * 1_000_000 + max(0, second - 10) * 100_000, float(second))
    assert rate.bytes_per_s(19.0) == pytest.approx(100_000)
    assert rate.bytes_per_s(29.0) == pytest.approx(100_000 / 3)


def test_a_transfer_that_stands_still_has_no_end_and_one_that_is_done_is_done() -> None:
    rate = Rate()
    for second in range(10):
        rate.report(100, float(second))
    assert rate.bytes_per_s(9.0) == 0
    assert rate.left_s(200, 9.0) is None
    assert rate.left_s(100, 9.0) == 0.0


def test_what_begins_anew_is_measured_anew() -> None:
    rate = Rate()
    rate.report(5_000_000, 0.0)
    rate.report(0, 1.0)
    rate.report(300, 2.0)
    assert rate.bytes_per_s(2.0) == 300


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 10**12)), max_size=50), st.integers(0, 10**12))
def test_it_never_promises_a_negative_time(points: list[tuple[float, int]], size: int) -> None:
    rate, now = Rate(), 0.0
    for pause, done in points:
        now += pause
        rate.report(done, now)
        assert (rate.bytes_per_s(now) or 0.0) >= 0.0
        assert (rate.left_s(size, now) or 0.0) >= 0.0
