from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.errors import LedgerError
from autopod_nb.models.job import JobSpec, JobState, PodConfig, ResultFile, job_is_over
from autopod_nb.models.money import MoneyKind, Purpose
from autopod_nb.models.pod import PodState
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.writes import ChargeRecorded, JobChanged, JobRecorded, PodChanged, PodIntent, ResultRecorded

Intent = Callable[..., PodIntent]
Queued = Callable[..., JobRecorded]
Booked = Callable[..., ChargeRecorded]


def _change(state: JobState, at: datetime, attempt: int = 1, **more: Any) -> JobChanged:
    return JobChanged(session_id="s1", job_id="a", attempt=attempt, state=state, at=at, **more)


def test_an_intent_reads_back_as_a_pod_that_was_asked_for(ledger: Ledger, intent: Intent, noon: datetime) -> None:
    price = Decimal("0.123456789")
    ledger.write([intent("p1", price_per_hour_usd=price, gpu_count=2, kind=MoneyKind.REAL)])
    (pod,) = ledger.read_pods()
    assert (pod.pod_id, pod.name, pod.session_id, pod.provider) == ("p1", "autopod-p1", "s1", "local")
    assert (pod.gpu_type, pod.gpu_count, pod.kind) == ("A40", 2, MoneyKind.REAL)
    assert (pod.price_per_hour_usd, pod.stopped_price_per_hour_usd) == (price, Decimal("0.01"))
    assert (pod.state, pod.provider_id, pod.error, pod.lease) == (PodState.REQUESTED, None, "", None)
    assert pod.created == pod.updated == noon
    assert pod.created.utcoffset() == timedelta(0)


def test_a_pod_keeps_its_provider_id_and_error_through_later_changes(
    ledger: Ledger, intent: Intent, noon: datetime
) -> None:
    later = noon + timedelta(microseconds=1)
    ledger.write([intent(), PodChanged(pod_id="p1", state=PodState.BOOTING, at=noon, provider_id="x7", error="slow")])
    ledger.write([PodChanged(pod_id="p1", state=PodState.TERMINATED, at=later)])
    (pod,) = ledger.read_pods(session_id="s1")
    assert (pod.state, pod.provider_id, pod.error) == (PodState.TERMINATED, "x7", "slow")
    assert (pod.created, pod.updated) == (noon, later)
    assert ledger.read_pods(session_id="s2") == ()


def test_a_pod_name_is_used_once(ledger: Ledger, intent: Intent) -> None:
    ledger.write([intent("p1", name="same")])
    with pytest.raises(LedgerError, match=r"pods\.name"):
        ledger.write([intent("p2", name="same")])


def test_a_pod_that_is_not_there_cannot_change(ledger: Ledger, noon: datetime) -> None:
    with pytest.raises(LedgerError, match="no pod p9"):
        ledger.write([PodChanged(pod_id="p9", state=PodState.READY, at=noon)])


def test_a_job_reads_back_with_what_was_asked_for(ledger: Ledger, noon: datetime) -> None:
    spec = JobSpec(
        job_id="a",
        workflow_template="img2vid-basic",
        inputs={"image": Path("é.png")},
        params={"prompt": 'a "quoted" {brace}\n日本', "seed": 2**70, "list": [1, None, 1.5]},
        outputs={"video": Path("outputs/a.mp4")},
        pod_config=PodConfig(gpu_type="A40", max_cost_usd=Decimal("0.10"), timeout_minutes=Decimal(5)),
        source="jobs/a.json",
    )
    ledger.write([JobRecorded(session_id="s1", spec=spec, at=noon)])
    (job,) = ledger.read_jobs()
    assert job.spec == spec
    assert (job.session_id, job.job_id, job.attempt, job.template) == ("s1", "a", 1, "img2vid-basic")
    assert (job.state, job.submitted, job.started, job.ended) == (JobState.QUEUED, noon, None, None)


def test_a_job_id_may_be_used_again_in_another_session_only(
    ledger: Ledger, intent: Intent, queued: Queued, charge: Booked
) -> None:
    ledger.write([intent(), queued("a", "s1"), queued("a", "s2"), charge("0.5", "a", "s2")])
    with pytest.raises(LedgerError, match=r"jobs\.job_id"):
        ledger.write([queued("a", "s1")])
    assert [job.session_id for job in ledger.read_jobs()] == ["s1", "s2"]
    assert [job.session_id for job in ledger.read_jobs(session_id="s2")] == ["s2"]
    assert [(row.session_id, row.charge.job_id) for row in ledger.read_charges()] == [("s2", "a")]


def test_a_job_starts_when_a_pod_first_has_it_and_ends_once(
    ledger: Ledger, intent: Intent, queued: Queued, noon: datetime
) -> None:
    times = [noon + timedelta(seconds=second) for second in range(4)]
    ledger.write([intent(), queued(), _change(JobState.UPLOADING, times[1], pod_id="p1")])
    ledger.write([_change(JobState.RUNNING, times[2], prompt_id="x"), _change(JobState.DONE, times[3])])
    (job,) = ledger.read_jobs()
    assert (job.state, job.pod_id, job.prompt_id) == (JobState.DONE, "p1", "x")
    assert (job.submitted, job.started, job.ended) == (times[0], times[1], times[3])


def test_a_job_that_was_cancelled_in_the_queue_never_started(ledger: Ledger, queued: Queued, noon: datetime) -> None:
    ledger.write([queued(), _change(JobState.CANCELLED, noon)])
    (job,) = ledger.read_jobs()
    assert (job.state, job.started, job.ended) == (JobState.CANCELLED, None, noon)


@pytest.mark.parametrize(("said", "kept"), [("pod p1 is gone", "pod p1 is gone"), ("", "attempt 2 follows")])
def test_a_new_attempt_ends_the_one_before_it_as_failed(stocked: Ledger, noon: datetime, said: str, kept: str) -> None:
    later = noon + timedelta(minutes=1)
    stocked.write([_change(JobState.QUEUED, later, attempt=2, error=said), _change(JobState.DONE, later, attempt=2)])
    first, second = stocked.read_jobs()
    assert (first.attempt, first.state, first.ended) == (1, JobState.FAILED, later)
    assert kept in first.error
    assert (second.attempt, second.state, second.submitted, second.pod_id) == (2, JobState.DONE, later, None)


@pytest.mark.parametrize("state", JobState)
def test_only_what_is_not_over_can_be_asked_for(
    ledger: Ledger, intent: Intent, queued: Queued, noon: datetime, state: JobState
) -> None:
    ledger.write([intent(), queued("a"), queued("b"), _change(state, noon, pod_id="p1")])
    found = [job.job_id for job in ledger.read_jobs(open_only=True)]
    assert found == (["b"] if job_is_over(state) else ["a", "b"])


def test_a_job_that_is_not_there_cannot_change(ledger: Ledger, noon: datetime) -> None:
    with pytest.raises(LedgerError, match="no job 'a' in session s1"):
        ledger.write([_change(JobState.RUNNING, noon)])


def test_a_result_reads_back_with_where_it_came_from(stocked: Ledger, result: ResultFile) -> None:
    (row,) = stocked.read_results(session_id="s1")
    assert (row.session_id, row.job_id, row.attempt, row.result) == ("s1", "a", 1, result)
    assert stocked.read_results(session_id="s2") == ()


def test_a_result_of_an_attempt_that_is_not_there_is_refused(
    stocked: Ledger, result: ResultFile, noon: datetime
) -> None:
    with pytest.raises(LedgerError, match="attempt_key"):
        stocked.write([ResultRecorded(session_id="s1", job_id="a", attempt=2, result=result, at=noon)])


def test_a_charge_reads_back_equal(stocked: Ledger, charge: Booked) -> None:
    booked = [charge("0.000001", purpose=Purpose.BOOT), charge("12345.678901", "a", seconds=Decimal("0.123456"))]
    stocked.write(booked)
    assert [row.charge for row in stocked.read_charges(pod_id="p1")][1:] == [record.charge for record in booked]
    assert stocked.read_charges(pod_id="p2") == stocked.read_charges(session_id="s2") == ()


@pytest.mark.parametrize(
    "different", [{"purpose": Purpose.JOB}, {"purpose": Purpose.IDLE, "job_id": "a", "attempt": 1}]
)
def test_a_charge_names_a_job_exactly_when_it_was_paid_for_one(
    stocked: Ledger, charge: Booked, different: dict[str, Any]
) -> None:
    with pytest.raises(LedgerError, match="CHECK"):
        stocked.write([charge("0.1", **different)])


def test_every_change_of_state_leaves_an_event(stocked: Ledger, noon: datetime) -> None:
    stocked.write([PodChanged(pod_id="p1", state=PodState.REQUESTED, at=noon)])  # no change
    stocked.write([PodChanged(pod_id="p1", state=PodState.LOST, at=noon, error="silence")])
    events = [(event.pod_id, event.job_id, event.attempt, event.state, event.error) for event in stocked.read_events()]
    assert events == [
        ("p1", None, 0, "requested", ""),
        (None, "a", 1, "queued", ""),
        (None, "a", 1, "running", ""),
        ("p1", None, 0, "lost", "silence"),
    ]


def test_half_a_character_keeps_nothing_out_of_the_ledger(ledger: Ledger, intent: Intent, noon: datetime) -> None:
    """Property: a name that is no UTF-8 (a lone surrogate in Python) is written with that part spelt out."""
    ledger.write([intent(), PodChanged(pod_id="p1", state=PodState.LOST, at=noon, error="no file \udce9.png")])
    assert ledger.read_pods()[0].error == "no file \\udce9.png"
