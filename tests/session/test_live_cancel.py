"""Jobs on a real pod that do not end well: cancelled, refused, failed. The pod and the other jobs go on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from autopod_nb.errors import JobFailed, UsageError
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from tests.session.live import Live


@pytest.fixture(scope="module")
def shared(open_shared: Callable[..., Live]) -> Live:
    live = open_shared()
    live.rent()
    return live


def _pod_is_ready(live: Live) -> bool:
    (pod,) = live.session.snapshot.pods.values()
    live.until_pod(pod.pod_id, PodState.READY)
    return True


def test_cancelling_ends_that_prompt_and_no_other(shared: Live) -> None:
    """Of three jobs the running one and one that waits are cancelled; the third is delivered."""
    running = shared.submit("slow", "c-running")
    waiting = shared.submit("slow", "c-waiting")
    third = shared.submit("noise", "c-third", seed=7)
    shared.until_rendering(running)
    shared.until_job(waiting, JobState.SUBMITTED)
    waiting.cancel()
    shared.until_job(waiting, JobState.CANCELLED)
    assert running.state is JobState.RUNNING
    running.cancel()
    third.wait(30)
    shared.until_job(running, JobState.CANCELLED)
    assert (shared.out / "c-third.png").exists()
    assert not (shared.out / "c-running.png").exists()
    assert _pod_is_ready(shared)


def test_a_job_that_no_pod_has_taken_yet_is_cancelled_at_once(shared: Live) -> None:
    jobs = [shared.submit("slow", f"q-{number}") for number in range(3)]  # a pod takes two
    shared.until_rendering(jobs[0])
    assert jobs[2].state is JobState.QUEUED
    for job in reversed(jobs):
        job.cancel()
    for job in jobs:
        assert shared.until_over(job).state is JobState.CANCELLED
    assert jobs[2].cost_usd == 0
    assert _pod_is_ready(shared)


def test_waiting_for_a_cancelled_job_raises_one_line(shared: Live) -> None:
    job = shared.submit("slow", "w-cancelled")
    shared.until_rendering(job)
    job.cancel()
    with pytest.raises(JobFailed, match=r"^w-cancelled cancelled: cancelled by you$"):
        job.wait(30)
    assert _pod_is_ready(shared)


def test_cancelling_twice_or_after_the_end_changes_nothing(shared: Live) -> None:
    job = shared.submit("noise", "twice", seed=8).wait(30)
    job.cancel()
    job.cancel()
    assert shared.submit("noise", "after-twice", seed=9).wait(30).state is JobState.DONE
    assert job.state is JobState.DONE
    with pytest.raises(UsageError, match=r"No job 'twise'.*'twice'"):
        shared.session.cancel("twise")


def test_a_job_that_fails_on_the_pod_names_the_node_and_what_it_said(shared: Live) -> None:
    job = shared.submit("fails", "fails-1")
    with pytest.raises(JobFailed) as caught:
        job.wait(30)
    assert str(caught.value).startswith("fails-1 failed: Divides by zero (VAEEncodeTiled, node 3) raised ZeroDivision")
    assert "\n" not in str(caught.value)
    fault = job.view.fault
    assert fault is not None
    assert (fault.node_id, fault.exception_type) == ("3", "ZeroDivisionError")
    assert fault.traceback
    assert _pod_is_ready(shared)


def test_an_unknown_node_class_is_refused_in_one_line_and_the_pod_stays(shared: Live) -> None:
    job = shared.submit("unknown_class", "unknown-1")
    with pytest.raises(JobFailed, match=r"^unknown-1 failed: .*AutopodNoSuchNode") as caught:
        job.wait(30)
    assert "\n" not in str(caught.value)
    assert job.view.attempt == 1
    assert _pod_is_ready(shared)


def test_a_value_out_of_range_is_refused_in_one_line_and_the_pod_stays(shared: Live) -> None:
    job = shared.submit("noise", "range-1", strength=7.5)
    with pytest.raises(JobFailed, match=r"^range-1 failed: .*strength.*7\.5") as caught:
        job.wait(30)
    assert "\n" not in str(caught.value)
    assert job.view.attempt == 1
    assert _pod_is_ready(shared)


def test_waiting_with_a_bound_leaves_the_job_alone(shared: Live) -> None:
    job = shared.submit("slow", "bounded")
    shared.until_rendering(job)
    with pytest.raises(TimeoutError, match=r"bounded is still running after 0\.2 s; it goes on"):
        job.wait(0.2)
    assert job.state is JobState.RUNNING
    job.cancel()
    shared.until_over(job)
