"""A fleet of real pods on this machine: as many as pay, each ended when it is done, and nothing lost on the way."""

from __future__ import annotations

import signal
from collections.abc import Callable
from decimal import Decimal

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.fleet_state import FleetRequest
from autopod_nb.session.handle import Job
from tests.session.live import Live, kill

_WITHIN_S = 120.0


def _start(live: Live, wish: FleetRequest, count: int, steps: int) -> list[Job]:
    plan = live.session.plan_fleet(PodRequest(gpu="A40"), wish)
    specs = [live.spec("slow", f"j{number}", seed=number, steps=steps) for number in range(count)]
    return live.session.submit_all(specs, fleet=plan)


def _all_over(snapshot: Snapshot) -> bool:
    return all(view.over for view in snapshot.jobs.values())


def _all_gone(snapshot: Snapshot) -> bool:
    return all(pod.over for pod in snapshot.pods.values()) and snapshot.fleet is None


def _delivered(live: Live, jobs: list[Job]) -> None:
    views = live.until(_all_over, _WITHIN_S).jobs
    assert [views[job.job_id].state for job in jobs] == [JobState.DONE] * len(jobs)
    pictures = {views[job.job_id].results[0].sha256 for job in jobs}
    assert len(pictures) == len(jobs), "each seed made a picture of its own"


def test_many_jobs_get_one_pod_when_a_second_would_only_cost_its_boot(live: Live) -> None:
    jobs = _start(live, FleetRequest(max_pods=3), count=5, steps=10)
    _delivered(live, jobs)
    snapshot = live.until(_all_gone)
    assert len(snapshot.pods) == 1
    assert "is started for 5 jobs" in live.notices
    learned = live.session.plan_fleet(PodRequest(gpu="A40"), FleetRequest(max_pods=3, budget_usd=Decimal("0.0001")))
    again = live.session.submit_all([live.spec("slow", "later", seed=99, steps=10)], fleet=learned)
    live.until(lambda snapshot: any(alert.job_id is None and "later" in alert.text for alert in snapshot.alerts))
    assert len(live.session.snapshot.pods) == 1, "a budget that is enough for nothing starts nothing"
    live.session.cancel(again[0].job_id)


@pytest.mark.slow
def test_a_deadline_gets_several_pods_and_the_loss_of_one_costs_no_job(live: Live) -> None:
    jobs = _start(live, FleetRequest(max_pods=3, aim=Aim.DEADLINE, within_minutes=Decimal("0.7")), count=9, steps=25)
    most = 0

    def works(snapshot: Snapshot) -> bool:
        nonlocal most
        most = max(most, sum(not pod.over for pod in snapshot.pods.values()))
        return sum(pod.state is PodState.BUSY for pod in snapshot.pods.values()) >= 2

    busy = [pod.pod_id for pod in live.until(works, _WITHIN_S).pods.values() if pod.state is PodState.BUSY]
    kill(live.process(busy[0], ""), signal.SIGKILL)

    def over(snapshot: Snapshot) -> bool:
        works(snapshot)
        return _all_over(snapshot)

    live.until(over, _WITHIN_S)
    _delivered(live, jobs)
    assert 2 <= most <= 3
    live.until(_all_gone)
    assert "is tried again" in live.notices


def test_a_fleet_that_stays_keeps_its_pod_for_what_comes_next(open_live: Callable[..., Live]) -> None:
    """In interactive use; a person ends it, and with it the wish."""
    live = open_live()
    plan = live.session.plan_fleet(PodRequest(gpu="A40"), FleetRequest(max_pods=2))
    live.session.wish_fleet(plan)
    assert not live.session.snapshot.pods, "nothing is rented before a job waits"
    first = live.submit("noise", "first")
    live.until_over(first, _WITHIN_S)
    second = live.submit("noise", "second", seed=2)
    live.until_over(second, _WITHIN_S)
    assert len(live.session.snapshot.pods) == 1
    live.session.stop()
    live.until(_all_gone)
