"""The bill beside the ledger: no false alarm, no unknown pod that is missed, exact sums."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.money import MoneyKind
from autopod_nb.models.reconciliation import KnownPod, Reconciliation, Stretch, Verdict, compare

_NOW = datetime(2026, 1, 8, 12, 30, tzinfo=timezone.utc)
_SINCE = _NOW - timedelta(days=7)
_FIRST = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
_UNTIL = datetime(2026, 1, 8, 11, tzinfo=timezone.utc)  # the hour before the one that runs may be incomplete
_HOUR = timedelta(hours=1)
_CENT = Decimal("0.01")
_AMOUNTS = st.decimals(min_value=0, max_value=100, places=6)
_HOURS = st.lists(st.integers(0, 166), unique=True, max_size=8)  # within the time that is compared


def _row(provider_id: str, hour: int, amount: Decimal | str, *, is_volume: bool = False) -> Stretch:
    """A row of a bill, counted in hours from the first one that is compared."""
    start = _FIRST + hour * _HOUR
    return Stretch(
        provider_id=provider_id, start=start, end=start + _HOUR, amount_usd=Decimal(amount), is_volume=is_volume
    )


def _part(provider_id: str, start: datetime, seconds: float, amount: Decimal | str) -> Stretch:
    return Stretch(
        provider_id=provider_id, start=start, end=start + timedelta(seconds=seconds), amount_usd=Decimal(amount)
    )


def _pod(name: str, *, over: bool = True) -> KnownPod:
    return KnownPod(pod_id=f"our-{name}", provider_id=name, kind=MoneyKind.REAL, over=over)


def _compare(pods: Sequence[KnownPod], booked: Sequence[Stretch], billed: Sequence[Stretch]) -> Reconciliation:
    return compare(pods, booked, billed, since=_SINCE, now=_NOW, kind=MoneyKind.REAL)


@given(_HOURS, st.data())
def test_rounding_within_a_cent_a_bucket_is_no_alarm(hours: list[int], data: st.DataObject) -> None:
    """Whatever each bucket cost, and whichever way it was rounded."""
    amounts = [data.draw(_AMOUNTS) for _ in hours]
    off = [data.draw(st.decimals(min_value=-_CENT, max_value=_CENT, places=6)) for _ in hours]
    booked = [_row("a", hour, amount) for hour, amount in zip(hours, amounts, strict=True)]
    billed = [_row("a", hour, amount + by) for hour, amount, by in zip(hours, amounts, off, strict=True)]
    found = _compare([_pod("a")], booked, billed)
    assert [line.verdict for line in found.lines] == ([Verdict.AGREES] if hours else [])


@given(_HOURS, st.data())
def test_more_than_a_cent_a_bucket_is_an_alarm_with_the_exact_difference(hours: list[int], data: st.DataObject) -> None:
    more = _CENT * len(hours) + data.draw(st.decimals(min_value=Decimal("0.000001"), max_value=9, places=6))
    booked = [_row("a", hour, "0.40") for hour in hours]
    billed = [_row("a", hour, Decimal("0.40") + (more if hour == hours[0] else 0)) for hour in hours]
    lines = _compare([_pod("a")], booked, billed).lines
    assert [(line.verdict, line.drift_usd) for line in lines] == ([(Verdict.DRIFTS, more)] if hours else [])


@given(st.dictionaries(st.sampled_from("abcdefgh"), _HOURS.filter(bool)), st.sets(st.sampled_from("abcdefgh")))
def test_every_pod_that_the_ledger_does_not_know_is_flagged_and_no_other(
    bill: dict[str, list[int]], known: set[str]
) -> None:
    billed = [_row(name, hour, "0.25") for name, hours in bill.items() for hour in hours]
    found = _compare([_pod(name) for name in sorted(known)], [], billed)
    unknown = {line.provider_id: line for line in found.lines if line.verdict is Verdict.UNKNOWN}
    assert set(unknown) == set(bill) - known
    assert all(line.billed_usd == Decimal("0.25") * len(bill[name]) for name, line in unknown.items())
    assert all(line.ledger_usd is None and line.drift_usd is None for line in unknown.values())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-48, 200), _AMOUNTS)))
def test_sums_are_exact_and_of_what_lies_in_the_time_that_is_compared(rows: list[tuple[str, int, Decimal]]) -> None:
    billed = [_row(name, hour, amount) for name, hour, amount in rows]
    found = _compare([_pod("a")], billed, billed)
    inside = [(name, Fraction(amount)) for name, hour, amount in rows if 0 <= hour < 167]
    booked_usd, billed_usd = found.total_usd(MoneyKind.REAL)
    assert Fraction(billed_usd) == sum((amount for _, amount in inside), Fraction(0))
    assert Fraction(booked_usd) == sum((amount for name, amount in inside if name == "a"), Fraction(0))
    assert (found.since, found.until) == (_FIRST, _UNTIL)
    assert found.total_usd(MoneyKind.SIMULATED) == (Decimal(0), Decimal(0))


def test_hours_that_are_not_closed_are_left_out_on_both_sides() -> None:
    """A pod that runs: the bill ends an hour or two ago, the ledger does not."""
    booked = [_part("a", _UNTIL - _HOUR, 3 * 3600, "1.20")]
    billed = [_row("a", 166, "0.40"), _row("a", 167, "0.13")]  # the second one is not complete yet
    (line,) = _compare([_pod("a", over=False)], booked, billed).lines
    assert (line.ledger_usd, line.billed_usd, line.verdict) == (Decimal("0.400000"), Decimal("0.40"), Verdict.AGREES)


def test_a_charge_over_the_edge_counts_by_its_share() -> None:
    booked = [_part("a", _FIRST - timedelta(seconds=4), 10, "1")]
    (line,) = _compare([_pod("a")], booked, []).lines
    assert (line.ledger_usd, line.billed_usd, line.verdict) == (Decimal("0.6"), Decimal(0), Verdict.DRIFTS)
    assert (line.drift_usd, line.drift_percent) == (Decimal("-0.6"), Decimal(-100))


@pytest.mark.parametrize(("over", "verdict"), [(False, Verdict.OPEN), (True, Verdict.DRIFTS)])
def test_a_pod_without_any_bill_is_an_alarm_only_when_it_is_over(over: bool, verdict: Verdict) -> None:  # noqa: FBT001
    (line,) = _compare([_pod("a", over=over)], [_part("a", _UNTIL - _HOUR, 600, "0.5")], []).lines
    assert line.verdict is verdict
    assert (line.drift_usd is None) is (not over)


def test_a_bill_to_the_second_is_compared_as_far_as_it_goes() -> None:
    """That of pods on this machine: a stretch is on it when it has ended."""
    begin = _NOW - timedelta(minutes=20)
    booked = [_part("a", begin, 300, "0.05"), _part("a", begin + timedelta(seconds=300), 900, "5")]
    found = _compare([_pod("a", over=False)], booked, [_part("a", begin, 300, "0.05")])
    (line,) = found.lines
    assert (line.ledger_usd, line.verdict, found.until) == (Decimal("0.05"), Verdict.AGREES, _NOW)


def test_a_network_volume_is_a_row_of_its_own_and_what_needs_attention_comes_first() -> None:
    billed = [_row("vol", 1, "0.02", is_volume=True), _row("ok", 1, "1"), _row("odd", 1, "2"), _row("new", 1, "3")]
    booked = [_row("ok", 1, "1"), _row("odd", 1, "1")]
    lines = _compare([_pod("ok"), _pod("odd")], booked, billed).lines
    assert [(line.provider_id, line.verdict) for line in lines] == [
        ("new", Verdict.UNKNOWN),
        ("odd", Verdict.DRIFTS),
        ("ok", Verdict.AGREES),
        ("vol", Verdict.VOLUME),
    ]
    assert lines[1].drift_percent == 100
    assert lines[3].ledger_usd is None
