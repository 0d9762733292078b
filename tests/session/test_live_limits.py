"""Limits on real pods, with a clock that jumps: what is idle, late, stuck or too dear ends, and is explained."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from autopod_nb.errors import LimitReached
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.session.commands import PodRequest
from tests.session.live import Live, kill


@pytest.fixture(scope="module")
def shared(open_shared: Callable[..., Live]) -> Live:
    """A session with a pod that may rest for a day."""
    live = open_shared()
    live.rent(idle_minutes="1440")
    return live


def _pod_id(live: Live) -> str:
    (pod_id,) = live.session.snapshot.pods
    return pod_id


def test_an_idle_pod_is_terminated_and_the_notice_says_why(live: Live) -> None:
    pod_id = live.rent(idle_minutes="10")
    live.submit("noise", "work").wait(30)
    live.jump(9 * 60)
    live.let_pass(1.5)
    assert live.until_pod(pod_id, PodState.READY).idle_left_s is not None
    live.jump(60)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert f"Pod {pod_id} had nothing to do for 10 minutes and is ended." in live.notices


def test_a_job_past_its_timeout_ends_with_the_reason_and_the_pod_goes_on(shared: Live) -> None:
    job = shared.submit("slow", "late", limits={"timeout_minutes": 5})
    shared.until_rendering(job)
    shared.jump(5 * 60)
    view = shared.until_over(job)
    assert view.state is JobState.FAILED
    assert view.error == "it ran longer than its timeout_minutes, 5; raise it to let it run longer"
    assert shared.submit("noise", "after-late", seed=2).wait(300).state is JobState.DONE


def test_a_job_past_its_money_ends_with_the_reason_and_the_pod_goes_on(shared: Live) -> None:
    """At 0.40 USD an hour a cent lasts for 90 s; 90 % of it are warned of."""
    job = shared.submit("slow", "dear", limits={"max_cost_usd": "0.01"})
    shared.until_rendering(job)
    shared.jump(82)
    shared.until(lambda _: "dear has cost" in shared.notices)
    assert "90 % of its limit" in shared.notices
    assert job.state is JobState.RUNNING
    shared.jump(10)
    view = shared.until_over(job)
    assert view.state is JobState.FAILED
    assert view.error == "its limit of 0.01 USD was reached; raise max_cost_usd to let it run longer"
    assert 0.01 <= view.cost_usd < 0.012
    assert shared.submit("noise", "after-dear", seed=3).wait(300).state is JobState.DONE


@pytest.mark.faults
def test_a_comfyui_that_hangs_is_reported_and_its_pod_ends(open_live: Callable[..., Live]) -> None:
    """It takes connections and says nothing. What a stuck job is called and can be answered: `test_reducer_jobs`."""
    live = open_live(settings={"AUTOPOD_STUCK_MINUTES": "2"})
    pod_id = live.rent(idle_minutes="1440")
    job = live.submit("slow", "stuck", steps=15)
    live.until_rendering(job)
    kill(live.process(pod_id, ".engine_main"), signal.SIGSTOP)
    live.let_pass(1.5)  # what it said before is here by then
    live.jump(115)
    live.until(lambda _: f"ComfyUI on pod {pod_id} does not answer, though SSH does." in live.notices)
    live.jump(130)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert f"ComfyUI on pod {pod_id} did not answer for 2 minutes, so the pod is ended." in live.notices
    assert live.until_over(job, 60).state is JobState.FAILED


def test_at_the_limit_of_the_session_everything_ends_and_nothing_more_is_rented(open_live: Callable[..., Live]) -> None:
    live = open_live(settings={"AUTOPOD_MAX_COST": "0.02"})
    pod_id = live.rent()
    running = live.submit("slow", "runs")
    waiting = live.submit("slow", "waits")
    third = live.submit("slow", "queued")
    live.until_rendering(running)
    live.jump(165)
    live.until(lambda _: "90 % of its limit of 0.02 USD" in live.notices)
    live.jump(20)
    live.until_pod(pod_id, PodState.TERMINATED)
    assert "The session has reached its limit of 0.02 USD: everything that bills is ended now." in live.notices
    for job in (running, waiting, third):
        view = live.until_over(job)
        assert view.state in (JobState.FAILED, JobState.CANCELLED)
        assert view.error
    assert "the session's limit of 0.02 USD was reached" in running.error
    assert 0.02 <= live.session.snapshot.cost_usd[MoneyKind.SIMULATED] < 0.025
    with pytest.raises(LimitReached, match=r"has spent 0\.02.. of 0\.02 USD"):
        live.session.plan(PodRequest())
