"""A fleet at a made-up RunPod: dear pods want a yes, spot pods are lost, and in the end nothing bills any more."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.errors import UsageError
from autopod_nb.models.job import JobState
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Snapshot
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session.commands import PodRequest
from autopod_nb.session.fleet_state import FleetRequest
from tests.leftovers import left_of
from tests.session.rented import Rented, runpod_service

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
_LEFT_WITHIN_S = 15.0  # the reaper looks once a second and lingers for two
_WITHIN_S = 120.0
_REQUEST = PodRequest(gpu="A40", spot=True)


@pytest.fixture
def rented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rented]:
    with runpod_service(tmp_path / "runpod") as service:
        session = Rented(tmp_path / "session", service, monkeypatch)
        yield session
        session.close()
        assert not left_of(session.home, _LEFT_WITHIN_S)


def _wish(*, yes: bool, max_pods: int = 3) -> FleetRequest:
    """Fifty seconds of work in half a minute."""
    minutes = Decimal("0.5")
    return FleetRequest(max_pods=max_pods, aim=Aim.DEADLINE, within_minutes=minutes, budget_usd=Decimal(2), yes=yes)


def test_a_spot_pod_that_is_lost_costs_no_job_and_nothing_bills_in_the_end(rented: Rented) -> None:
    session = rented.session
    dear = session.plan_fleet(PodRequest(gpu="A40"), _wish(yes=False, max_pods=20))
    assert dear.needs_yes
    with pytest.raises(UsageError, match="say --yes, or ask for fewer"):
        session.wish_fleet(dear)
    first = rented.submit("slow", "first", seed=100, steps=25)  # so that it is known what a job and a boot take
    first.wait(60)
    rented.until_nothing_bills()
    plan = session.plan_fleet(_REQUEST, _wish(yes=True))
    specs = [rented.spec("slow", f"j{number}", seed=number, steps=25) for number in range(12)]
    jobs = session.submit_all(specs, fleet=plan)
    most = 0

    def some_work(snapshot: Snapshot) -> bool:
        nonlocal most
        most = max(most, sum(pod.bills for pod in snapshot.pods.values()))
        return sum(pod.state is PodState.BUSY for pod in snapshot.pods.values()) >= 2

    names = {pod.name for pod in rented.until(some_work, _WITHIN_S).pods.values() if pod.state is PodState.BUSY}
    lost = next(pod for pod in rented.service.pods() if pod["name"] in names)
    rented.service.evict(lost["id"])

    def all_over(snapshot: Snapshot) -> bool:
        some_work(snapshot)
        return all(view.over for view in snapshot.jobs.values())

    rented.until(all_over, _WITHIN_S)
    views = session.snapshot.jobs
    assert [views[job.job_id].state for job in jobs] == [JobState.DONE] * len(jobs)
    bills = rented.until_nothing_bills()
    assert 3 <= len(bills) <= 5, "one for the first job, two or three, and perhaps one in place of the lost one"
    assert most <= 3
    assert {bill["name"] for bill in bills} <= {pod.name for pod in session.snapshot.pods.values()}
    assert session.snapshot.cost_usd[MoneyKind.REAL] < Decimal(2)
    rented.until(lambda snapshot: snapshot.fleet is None)
