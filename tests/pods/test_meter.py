"""The meter: every second that is paid for is in one charge, once, at its price, for its purpose."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.money import Charge, MoneyKind, Purpose, cost_usd, total_usd
from autopod_nb.pods.meter import ACCRUE_EVERY_S, Activity, Meter, running_usd, settle

_START = datetime(2026, 1, 1, tzinfo=timezone.utc)
_WORK = Activity(purpose=Purpose.JOB, price_per_hour_usd=Decimal("0.40"), job_id="j1", attempt=1)
_IDLE = Activity(purpose=Purpose.IDLE, price_per_hour_usd=Decimal("0.40"))
_ACTIVITIES = st.none() | st.builds(
    Activity,
    purpose=st.sampled_from(Purpose),
    price_per_hour_usd=st.decimals("0.0001", 10, places=4),
    job_id=st.none() | st.sampled_from(["j1", "j2"]),
    attempt=st.integers(0, 2),
)
_MICROSECONDS = st.integers(0, 100_000_000)
_STEPS = st.lists(st.tuples(_MICROSECONDS, _ACTIVITIES), max_size=20)


def _settle(meter: Meter, activity: Activity | None, now_us: int) -> tuple[Meter, Charge | None]:
    now = _START + timedelta(microseconds=now_us)
    return settle(meter, activity, pod_id="p1", kind=MoneyKind.SIMULATED, now=now, now_s=now_us / 1e6)


def _run(steps: list[tuple[int, Activity | None]]) -> list[Charge]:
    """Pass the steps, then end. Each is (microseconds since the one before, what is paid for from then on)."""
    meter, now_us, charges = Meter(), 0, []
    for passed_us, activity in [*steps, (1, None)]:
        now_us += passed_us
        meter, charge = _settle(meter, activity, now_us)
        charges += [charge] if charge is not None else []
    return charges


@given(_STEPS)
def test_the_seconds_of_all_charges_are_the_time_in_which_anything_was_on(
    steps: list[tuple[int, Activity | None]],
) -> None:
    lengths = [passed_us for passed_us, _ in steps[1:]] + [1]
    on_us = sum(length for (_, activity), length in zip(steps, lengths, strict=False) if activity is not None)
    assert sum((charge.seconds for charge in _run(steps)), Decimal(0)) == Decimal(on_us) / 1_000_000


@given(_STEPS)
def test_a_charge_is_exact_positive_and_follows_the_one_before(steps: list[tuple[int, Activity | None]]) -> None:
    end = _START
    for charge in _run(steps):
        assert charge.seconds > 0
        assert charge.amount_usd == cost_usd(charge.price_per_hour_usd, charge.seconds) >= 0
        assert charge.start >= end, "two charges for one moment"
        end = charge.start + timedelta(microseconds=int(charge.seconds * 1_000_000))


@given(_STEPS)
def test_seconds_are_charged_to_what_they_were_for(steps: list[tuple[int, Activity | None]]) -> None:
    def key(of: Activity | Charge) -> tuple[object, ...]:
        return of.purpose, of.job_id, of.attempt, of.price_per_hour_usd

    expected: dict[tuple[object, ...], Decimal] = {}
    for (_, activity), length in zip(steps, [passed_us for passed_us, _ in steps[1:]] + [1], strict=False):
        if activity is not None and length:
            expected[key(activity)] = expected.get(key(activity), Decimal(0)) + Decimal(length) / 1_000_000
    found: dict[tuple[object, ...], Decimal] = {}
    for charge in _run(steps):
        found[key(charge)] = found.get(key(charge), Decimal(0)) + charge.seconds
    assert found == expected


@given(_STEPS, _STEPS)
def test_real_and_simulated_money_never_meet(
    one: list[tuple[int, Activity | None]], other: list[tuple[int, Activity | None]]
) -> None:
    charges = []
    for kind, steps in ((MoneyKind.REAL, one), (MoneyKind.SIMULATED, other)):
        meter, now_us = Meter(), 0
        for passed_us, activity in [*steps, (1, None)]:
            now_us += passed_us
            now = _START + timedelta(microseconds=now_us)
            meter, charge = settle(meter, activity, pod_id="p", kind=kind, now=now, now_s=now_us / 1e6)
            charges += [charge] if charge is not None else []
    for kind in MoneyKind:
        alone = [charge.amount_usd for charge in charges if charge.kind is kind]
        assert Fraction(total_usd(charges, kind)) == sum(map(Fraction, alone))
    assert total_usd(charges, MoneyKind.SIMULATED) == sum((charge.amount_usd for charge in _run(other)), Decimal(0))


def test_an_activity_that_goes_on_is_charged_every_ten_seconds() -> None:
    meter, charge = _settle(Meter(), _WORK, 0)
    assert charge is None
    same, charge = _settle(meter, _WORK, 9_999_999)
    assert (same, charge) == (meter, None)
    meter, charge = _settle(meter, _WORK, 10_000_000)
    assert charge is not None
    assert float(charge.seconds) == ACCRUE_EVERY_S
    assert (charge.start, charge.job_id, charge.attempt) == (_START, "j1", 1)
    assert charge.amount_usd == Decimal("0.001111")
    assert meter.since == _START + timedelta(seconds=10)


def test_a_change_is_charged_at_once_and_to_what_was_before() -> None:
    meter, _ = _settle(Meter(), _WORK, 0)
    meter, charge = _settle(meter, _IDLE, 1_500_000)
    assert charge is not None
    assert (charge.purpose, charge.seconds) == (Purpose.JOB, Decimal("1.5"))
    assert meter.activity == _IDLE


def test_a_change_within_no_time_makes_no_charge() -> None:
    meter, _ = _settle(Meter(), _WORK, 7)
    meter, charge = _settle(meter, _IDLE, 7)
    assert charge is None
    assert meter.activity == _IDLE


@pytest.mark.parametrize("wall_jump_s", [-7200, 7200])
def test_a_wall_clock_that_is_set_makes_no_money(wall_jump_s: int) -> None:
    meter, _ = _settle(Meter(), _WORK, 0)
    now = _START + timedelta(seconds=wall_jump_s)
    _, charge = settle(meter, None, pod_id="p1", kind=MoneyKind.REAL, now=now, now_s=5.0)
    assert charge is not None
    assert charge.seconds == 5


def test_what_runs_just_now_is_known_before_it_is_charged() -> None:
    meter, _ = _settle(Meter(), _WORK, 0)
    assert running_usd(meter, 9) == Decimal("0.001")
    assert running_usd(meter, 0) == running_usd(Meter(), 9) == 0
