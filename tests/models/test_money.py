"""Money is exact to a millionth of a dollar, and real and simulated money never meet."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.money import Charge, MoneyKind, Purpose, cost_usd, show_usd, total_usd

_PRICES = st.decimals(min_value=0, max_value=1000, places=6)
_SECONDS = st.decimals(min_value=0, max_value=10**8, places=6)
_AMOUNTS = st.decimals(min_value=0, max_value=10**6, places=6)
_HALF = Fraction(1, 2_000_000)


def _charge(amount_usd: Decimal, kind: MoneyKind) -> Charge:
    return Charge(
        pod_id="p1",
        job_id=None,
        attempt=0,
        purpose=Purpose.IDLE,
        kind=kind,
        start=datetime(2026, 1, 1, tzinfo=timezone.utc),
        seconds=Decimal(10),
        price_per_hour_usd=Decimal(1),
        amount_usd=amount_usd,
    )


@given(_PRICES, _SECONDS)
def test_a_cost_is_the_exact_one_rounded_half_up_to_a_millionth(price: Decimal, seconds: Decimal) -> None:
    exact = Fraction(price) * Fraction(seconds) / 3600
    cost = cost_usd(price, seconds)
    assert -_HALF < Fraction(cost) - exact <= _HALF
    assert cost.as_tuple().exponent == -6


def test_half_a_millionth_goes_up_and_less_goes_away() -> None:
    assert cost_usd(Decimal("0.0018"), Decimal(1)) == Decimal("0.000001")
    assert cost_usd(Decimal("0.0017"), Decimal(1)) == 0


@given(_PRICES)
def test_an_hour_costs_the_price_and_nothing_costs_nothing(price: Decimal) -> None:
    assert cost_usd(price, Decimal(3600)) == price
    assert cost_usd(price, Decimal(0)) == 0


@given(_PRICES, _SECONDS, _SECONDS)
def test_longer_never_costs_less(price: Decimal, one: Decimal, other: Decimal) -> None:
    assert cost_usd(price, min(one, other)) <= cost_usd(price, max(one, other))


@given(st.lists(st.tuples(_AMOUNTS, st.sampled_from(MoneyKind))))
def test_a_total_is_exact_and_of_one_kind(amounts: list[tuple[Decimal, MoneyKind]]) -> None:
    charges = [_charge(amount, kind) for amount, kind in amounts]
    for kind in MoneyKind:
        exact = sum((Fraction(amount) for amount, of_kind in amounts if of_kind is kind), Fraction(0))
        assert Fraction(total_usd(charges, kind)) == exact


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (lambda: cost_usd(Decimal("0.49"), Decimal("86400.5")), Decimal("11.760068")),
        (lambda: total_usd([_charge(Decimal("12345.678901"), MoneyKind.REAL)] * 2, MoneyKind.REAL), 24691.357802),
        (lambda: show_usd(Decimal("1234.565"), MoneyKind.REAL), "$1234.57"),
        (lambda: show_usd(Decimal("0.00005"), MoneyKind.REAL), "$0.0001"),
    ],
    ids=["cost", "total", "dollars", "part of a cent"],
)
def test_a_notebook_that_plays_with_decimals_does_not_change_the_bill(
    count: Callable[[], object], expected: object
) -> None:
    """The context is the thread's, and a thread of ours starts with a copy of the notebook's."""
    wild = decimal.Context(prec=3, rounding=decimal.ROUND_DOWN, traps=[decimal.Inexact, decimal.InvalidOperation])
    with decimal.localcontext(wild):
        counted = count()
    assert counted == (Decimal(str(expected)) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0.0000"), ("0.00123", "$0.0012"), ("0.9999", "$0.9999"), ("1", "$1.00"), ("12.345", "$12.35")],
)
def test_an_amount_for_a_person_says_whether_anybody_pays(amount: str, text: str) -> None:
    assert show_usd(Decimal(amount), MoneyKind.REAL) == text
    assert show_usd(Decimal(amount), MoneyKind.SIMULATED) == f"{text} simulated"
