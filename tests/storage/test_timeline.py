"""The ledger along time: charges become stretches, and nothing of any is lost."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autopod_nb.config import LEDGER_NAME
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.storage.columns import from_micro_usd, to_us
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.timeline import timeline
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodIntent
from tests.storage.conftest import NOON

_KINDS = {"p1": MoneyKind.SIMULATED, "p2": MoneyKind.REAL}
_CHARGES = st.lists(
    st.tuples(
        st.sampled_from(sorted(_KINDS)),
        st.sampled_from([Purpose.BOOT, Purpose.IDLE, Purpose.STORAGE, "a", "b"]),
        st.integers(0, 40),
        st.decimals(min_value=0, max_value=30, places=6),
        st.decimals(min_value=0, max_value=1000, places=6),
    ),
    max_size=15,
)


def _what(what: Purpose | str) -> dict[str, Any]:
    return {"job_id": what} if not isinstance(what, Purpose) else {"purpose": what}


@given(charges=_CHARGES)
@settings(max_examples=25)
def test_the_stretches_of_each_pod_and_purpose_add_up_to_what_was_booked(
    charges: list[tuple[str, Purpose | str, int, Decimal, Decimal]],
    intent: Callable[..., PodIntent],
    queued: Callable[..., JobRecorded],
    charge: Callable[..., ChargeRecorded],
) -> None:
    """However charges lie: beside each other, over each other, of no length, in any order."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / LEDGER_NAME) as ledger:
        ledger.write([*(intent(pod_id, kind=kind) for pod_id, kind in _KINDS.items()), queued("a"), queued("b")])
        ledger.write(
            [
                charge(
                    amount,
                    pod_id=pod_id,
                    kind=_KINDS[pod_id],
                    start=NOON + timedelta(seconds=start),
                    seconds=seconds,
                    **_what(what),
                )
                for pod_id, what, start, seconds, amount in charges
            ]
        )
        found = timeline(ledger)
    names = {key: facts.job_id for key, facts in found.attempts.items()}
    for pod_id, what in itertools.product(_KINDS, [*Purpose, "a", "b"]):
        booked = [each for each in charges if (each[0], each[1]) == (pod_id, what)]
        seen = [
            each
            for each in found.stretches
            if (each.pod_id, names.get(each.attempt_key or 0, each.purpose)) == (pod_id, what)
        ]
        assert from_micro_usd(sum(each.amount_micro_usd for each in seen)) == sum(each[4] for each in booked)
        assert Decimal(sum(each.paid_us for each in seen)).scaleb(-6) == sum(each[3] for each in booked)
        assert {each.kind for each in seen} <= {_KINDS[pod_id]}


def _idle(charge: Callable[..., ChargeRecorded], start_s: float, **different: Any) -> ChargeRecorded:
    return charge("0.001", start=NOON + timedelta(seconds=start_s), seconds=Decimal(10), **different)


def test_charges_that_follow_each_other_are_one_stretch_and_others_are_not(
    ledger: Ledger, intent: Callable[..., PodIntent], queued: Callable[..., JobRecorded],
    charge: Callable[..., ChargeRecorded],
) -> None:  # fmt: skip
    ledger.write([intent(), queued(), _idle(charge, 0), _idle(charge, 10.5), _idle(charge, 20.5, job_id="a")])
    ledger.write([_idle(charge, 30.5), _idle(charge, 50)])
    found = timeline(ledger)
    begin = to_us(NOON)
    spans = [((each.start_us - begin) / 1e6, (each.end_us - begin) / 1e6, each.purpose) for each in found.stretches]
    assert spans == [
        (0, 20.5, Purpose.IDLE), (20.5, 30.5, Purpose.JOB), (30.5, 40.5, Purpose.IDLE), (50, 60, Purpose.IDLE)
    ]  # fmt: skip
    assert found.stretches[0].paid_us == 20_000_000, "the gap was not paid"


def test_a_part_is_what_was_asked_for(
    ledger: Ledger, intent: Callable[..., PodIntent], charge: Callable[..., ChargeRecorded], noon: datetime
) -> None:
    ledger.write([intent(), intent("p2"), _idle(charge, 0), _idle(charge, 100, pod_id="p2", session_id="s2")])
    later = to_us(noon + timedelta(seconds=100))
    asked: list[dict[str, Any]] = [{"since_us": later}, {"session_id": "s2"}, {"pod_ids": {"p2"}}]
    assert [[each.pod_id for each in timeline(ledger, **part).stretches] for part in asked] == [["p2"]] * 3
    before = timeline(ledger, until_us=later)
    assert ([each.pod_id for each in before.stretches], set(before.pods)) == (["p1"], {"p1"})
    assert timeline(ledger, pod_ids=()).stretches == ()


def test_an_attempt_has_its_results_and_the_time_of_its_rendering(stocked: Ledger) -> None:
    made = JobChanged(session_id="s1", job_id="a", attempt=1, state=JobState.COLLECTING, at=NOON + timedelta(seconds=7))
    stocked.write([made])
    (facts,) = timeline(stocked).attempts.values()
    assert (facts.job_id, facts.attempt, facts.template, facts.results) == ("a", 1, "img2vid-basic", 1)
    assert (facts.running_us, facts.made_us) == (to_us(NOON), to_us(NOON) + 7_000_000)
    assert facts.state is JobState.COLLECTING


def test_where_no_ledger_is_nothing_was_booked(tmp_path: Path) -> None:
    assert timeline(Ledger(tmp_path / "none" / LEDGER_NAME)).stretches == ()
