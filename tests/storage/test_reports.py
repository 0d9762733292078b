"""Sums of what was spent: exact, apart by kind of money, and the same whatever they are made by."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.storage.columns import to_micro_usd, to_us
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.reports import spend
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodChanged, PodIntent

_NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
_GROUPS = ("", "pod", "job", "template", "gpu")
_PODS = {"p1": MoneyKind.SIMULATED, "p2": MoneyKind.REAL}
_CHARGES = st.lists(
    st.tuples(
        st.sampled_from(sorted(_PODS)),
        st.sampled_from([None, "a", "b"]),
        st.integers(-5, 5),
        st.decimals(min_value=0, max_value=1000, places=6),
    ),
    max_size=12,
)


@dataclass(frozen=True, slots=True)
class Make:
    """Makes records that need only say what they are about."""

    intent: Callable[..., PodIntent]
    queued: Callable[..., JobRecorded]
    charge: Callable[..., ChargeRecorded]


@pytest.fixture(scope="session")
def make(
    intent: Callable[..., PodIntent], queued: Callable[..., JobRecorded], charge: Callable[..., ChargeRecorded]
) -> Make:
    return Make(intent, queued, charge)


@given(charges=_CHARGES)
@settings(max_examples=15)
def test_the_rows_of_each_kind_add_up_to_what_was_booked_in_that_time(
    charges: list[tuple[str, str | None, int, Decimal]],
    make: Make,
) -> None:
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / LEDGER_NAME) as ledger:
        ledger.write(
            [*(make.intent(pod_id, kind=kind) for pod_id, kind in _PODS.items()), make.queued("a"), make.queued("b")]
        )
        ledger.write(
            [
                make.charge(amount, job_id, pod_id=pod_id, kind=_PODS[pod_id], start=_NOON + timedelta(hours=hour))
                for pod_id, job_id, hour, amount in charges
            ]
        )
        until = _NOON + timedelta(hours=3)
        tables = [spend(ledger, since_us=to_us(_NOON), until_us=to_us(until), by=by) for by in _GROUPS]
    for rows, kind in itertools.product(tables, MoneyKind):
        inside = [to_micro_usd(each[3]) for each in charges if _PODS[each[0]] is kind and 0 <= each[2] < 3]
        found = [row for row in rows if row.kind is kind]
        assert sum(row.total_micro_usd for row in found) == sum(inside)
        for row in found:
            parts = (row.boot_micro_usd, row.vain_boot_micro_usd, row.job_micro_usd, row.lost_job_micro_usd)
            assert sum(parts) + row.idle_micro_usd + row.storage_micro_usd == row.total_micro_usd


@pytest.mark.parametrize(
    ("states", "in_vain"),
    [
        ([PodState.BOOTING], False),
        ([PodState.BOOTING, PodState.TERMINATED], True),
        ([PodState.BOOTING, PodState.READY, PodState.TERMINATED], False),
        ([PodState.READY, PodState.STOPPED, PodState.BOOTING], False),
    ],
)
def test_the_boot_of_a_pod_that_ended_before_it_was_ready_was_in_vain(
    states: list[PodState],
    in_vain: bool,  # noqa: FBT001 - a parameter of the test
    ledger: Ledger,
    make: Make,
) -> None:
    changes = [PodChanged(pod_id="p1", state=state, at=_NOON) for state in states]
    ledger.write([make.intent(), *changes, make.charge("0.5", purpose=Purpose.BOOT)])
    (row,) = spend(ledger, since_us=0, until_us=to_us(_NOON) + 1)
    assert (row.boot_micro_usd, row.vain_boot_micro_usd) == ((0, 500_000) if in_vain else (500_000, 0))


@pytest.mark.parametrize("state", list(JobState))
def test_the_seconds_of_a_job_that_failed_or_was_cancelled_are_lost(
    state: JobState,
    ledger: Ledger,
    make: Make,
) -> None:
    change = JobChanged(session_id="s1", job_id="a", attempt=1, state=state, at=_NOON)
    ledger.write([make.intent(), make.queued(), change, make.charge("0.5", "a")])
    (row,) = spend(ledger, since_us=0, until_us=to_us(_NOON) + 1, by="job")
    lost = state in (JobState.FAILED, JobState.CANCELLED)
    assert (row.key, row.job_micro_usd, row.lost_job_micro_usd) == (
        ("s1", "a"),
        *((0, 500_000) if lost else (500_000, 0)),
    )


def test_an_attempt_that_had_to_be_repeated_is_lost_and_the_next_one_is_not(
    ledger: Ledger,
    make: Make,
) -> None:
    second = JobChanged(session_id="s1", job_id="a", attempt=2, state=JobState.DONE, at=_NOON)
    ledger.write([make.intent(), make.queued(), make.charge("0.5", "a"), second, make.charge("0.25", "a", attempt=2)])
    (row,) = spend(ledger, since_us=0, until_us=to_us(_NOON) + 1, by="template")
    assert (row.key, row.job_micro_usd, row.lost_job_micro_usd) == (("img2vid-basic", ""), 250_000, 500_000)
