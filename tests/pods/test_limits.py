"""When enough is enough."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.pods.limits import LimitLevel, limit_level, seconds_left

_AMOUNTS = st.decimals(0, 1000, places=6)


@pytest.mark.parametrize(
    ("spent", "level"),
    [
        ("0", LimitLevel.FINE),
        ("0.899999", LimitLevel.FINE),
        ("0.9", LimitLevel.NEAR),
        ("0.999999", LimitLevel.NEAR),
        ("1", LimitLevel.REACHED),
        ("1.000001", LimitLevel.REACHED),
    ],
)
def test_it_warns_at_ninety_percent_and_stops_at_a_hundred(spent: str, level: LimitLevel) -> None:
    assert limit_level(Decimal(spent), Decimal(1)) is level


@given(_AMOUNTS)
def test_without_a_limit_all_is_fine(spent: Decimal) -> None:
    assert limit_level(spent, None) is LimitLevel.FINE


@given(_AMOUNTS, _AMOUNTS, _AMOUNTS)
def test_more_money_is_never_farther_from_the_limit(one: Decimal, other: Decimal, limit: Decimal) -> None:
    order = list(LimitLevel)
    less, more = (order.index(limit_level(spent, limit)) for spent in sorted((one, other)))
    assert less <= more
    assert limit_level(limit, limit) is LimitLevel.REACHED


@given(st.floats(0, 1e7), st.floats(0, 1e7), st.decimals("0.01", 1000, places=2))
def test_what_is_left_goes_down_to_zero_and_no_further(since_s: float, passed_s: float, minutes: Decimal) -> None:
    left_s = seconds_left(since_s, since_s + passed_s, minutes)
    assert 0 <= left_s <= float(minutes) * 60 + 1e-6
    assert left_s == pytest.approx(max(0.0, float(minutes) * 60 - passed_s), abs=1e-6)
