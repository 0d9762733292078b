"""What faces see: frozen, and money apart by kind."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.models.snapshot import JobView, PodView, Snapshot

_NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
_PODS = st.lists(
    st.tuples(st.sampled_from(PodState), st.sampled_from(MoneyKind), st.decimals(0, 100, places=4)), max_size=6
)


def _pod(pod_id: str, state: PodState, kind: MoneyKind = MoneyKind.REAL, price: Decimal = Decimal("0.4")) -> PodView:
    return PodView(
        pod_id=pod_id,
        name=f"autopod-{pod_id}",
        provider="local",
        gpu_type="A40",
        gpu_count=1,
        state=state,
        phase="",
        kind=kind,
        price_per_hour_usd=price,
        cost_usd=Decimal(0),
    )


@given(_PODS)
def test_the_price_an_hour_is_of_what_may_bill_and_never_of_two_kinds(
    pods: list[tuple[PodState, MoneyKind, Decimal]],
) -> None:
    """A planned pod counts, too: it is about to be asked for."""
    views = {str(number): _pod(str(number), *pod) for number, pod in enumerate(pods)}
    prices = Snapshot(number=1, at=_NOW, pods=views).price_per_hour_usd
    for kind in MoneyKind:
        counted = [price for state, of, price in pods if of is kind and (may_bill(state) or state is PodState.PLANNED)]
        assert Fraction(prices.get(kind, Decimal(0))) == sum(map(Fraction, counted))


@pytest.mark.parametrize("state", PodState)
def test_a_pod_is_over_when_it_is_gone(state: PodState) -> None:
    assert _pod("p", state).over == (state is PodState.TERMINATED)


@pytest.mark.parametrize("state", JobState)
def test_a_job_is_over_when_it_has_its_end(state: JobState) -> None:
    view = JobView(job_id="j", template="t", state=state)
    assert view.over == (state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED))


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = Snapshot(number=1, at=_NOW)
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.number = 2  # type: ignore[misc] # that is what is tested
    with pytest.raises(TypeError):
        snapshot.pods["p"] = _pod("p", PodState.READY)  # type: ignore[index] # the same
    with pytest.raises(TypeError):
        snapshot.price_per_hour_usd[MoneyKind.REAL] = Decimal(0)  # type: ignore[index] # the same


def test_a_preview_picture_does_not_fill_a_repr() -> None:
    view = JobView(job_id="j", template="t", state=JobState.RUNNING, preview=b"\xff\xd8" * 1000)
    assert len(repr(view)) < 1000
