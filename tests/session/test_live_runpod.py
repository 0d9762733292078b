"""A pod is rented, used and given back at RunPod, whatever the service does meanwhile. Everything is real but the GPUs.

In each story exactly one pod is billed for one intent, the bill ends, and the result is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autopod_nb.errors import UsageError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState
from tests.fakes.service import RunpodService
from tests.leftovers import left_of
from tests.session.rented import Rented, runpod_service

pytestmark = pytest.mark.faults
_LEFT_WITHIN_S = 15.0  # the reaper looks once a second and lingers for two


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with runpod_service(tmp_path_factory.mktemp("runpod") / "it") as service:
        yield service


@pytest.fixture
def rent(
    shared_service: RunpodService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Rented]]:
    """Makes sessions at a service that is begun anew."""
    shared_service.reset()
    made: list[Rented] = []

    def rent(**settings: str) -> Rented:
        made.append(Rented(tmp_path / str(len(made)), shared_service, monkeypatch, **settings))
        return made[-1]

    yield rent
    for each in made:
        each.close()
    left = {each.home: left_of(each.home, _LEFT_WITHIN_S) for each in made}
    assert not any(left.values()), f"processes are left: {left}"


def test_a_pod_is_rented_used_and_given_back_and_the_books_agree_with_the_bill(rent: Callable[..., Rented]) -> None:
    rented = rent()
    pod_id = rented.rent()
    job = rented.submit("noise", "one").wait(30)
    assert (rented.out / "one.png").stat().st_size > 0
    rented.session.stop()
    over = rented.until_pod(pod_id, PodState.TERMINATED)
    (bill,) = rented.until_nothing_bills()
    assert bill["name"] == over.name
    assert rented.session.snapshot.cost_usd.keys() == {MoneyKind.REAL}
    assert float(over.cost_usd) == pytest.approx(float(bill["total_usd"]), rel=0.25, abs=0.0002)
    assert job.cost_usd < over.cost_usd


LOST = ["cut_after", "error_500_after", "html_502_after", "opaque_error_after"]
NOT_DONE = ["error_500", "html_502", "cut_before"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", LOST)
def test_after_an_answer_that_is_lost_there_is_one_pod_and_it_is_used(rent: Callable[..., Rented], fault: str) -> None:
    """It is looked up by its name; create is never repeated."""
    rented = rent()
    rented.service.arm(fault, "POST /v2/pods")
    rented.rent()
    rented.submit("noise", "one").wait(30)
    rented.session.stop()
    assert len(rented.until_nothing_bills()) == 1
    assert len(rented.service.requests("POST /v2/pods")) == 1


@pytest.mark.parametrize("fault", NOT_DONE)
def test_when_nothing_was_made_after_all_that_is_said_and_nothing_bills(
    rent: Callable[..., Rented], fault: str
) -> None:
    rented = rent()
    rented.service.arm(fault, "POST /v2/pods")
    pod_id = rented.session.connect(rented.session.plan(rented.request()))
    while not rented.pod(pod_id).over:  # it is looked for a few times, with pauses
        rented.jump(2)
        rented.session.wait_newer(rented.session.snapshot.number, 0.1)
    assert rented.bills() == []
    assert len(rented.service.requests("POST /v2/pods")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["no_capacity", "no_capacity_disk", "pool_forbidden"])
def test_without_capacity_the_next_choice_is_rented(rent: Callable[..., Rented], fault: str) -> None:
    rented = rent()
    rented.service.arm(fault, "POST /v2/pods", times=2)
    pod_id = rented.rent()
    assert pod_id.endswith("-3")
    rented.submit("noise", "one").wait(30)
    rented.session.stop()
    (bill,) = rented.until_nothing_bills()
    assert bill["name"].endswith("-3")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["never_boots", "ports_never", "image_hangs", "image_exits"])
def test_a_pod_that_never_comes_up_is_gone_before_the_next_is_rented(rent: Callable[..., Rented], fault: str) -> None:
    rented = rent(AUTOPOD_BOOT_MINUTES="3")
    rented.service.arm(fault, "POST /v2/pods")
    first = rented.session.connect(rented.session.plan(rented.request()))
    while rented.pod(first).successor is None:  # minutes pass; image_exits needs none
        rented.jump(20)
        rented.session.wait_newer(rented.session.snapshot.number, 0.3)
    rented.until_ready(first)
    rented.submit("noise", "one").wait(30)
    rented.session.stop()
    gone, used = rented.until_nothing_bills()
    assert gone["billing_ended_at"] <= used["segments"][0]["start"]


@pytest.mark.slow
def test_a_pod_whose_port_changes_is_found_again(rent: Callable[..., Rented]) -> None:
    rented = rent()
    pod_id = rented.rent()
    job = rented.submit("slow", "one", steps=30)
    rented.until_rendering(job)
    provider_id = rented.service.pods()[-1]["id"]
    rented.service.arm("port_change", pod=provider_id)
    rented.service.request("GET", f"/v2/pods/{provider_id}")
    job.wait(60)
    assert rented.pod(pod_id).state in (PodState.READY, PodState.BUSY)
    rented.session.stop()
    assert len(rented.until_nothing_bills()) == 1


def test_a_pod_that_no_ledger_knows_is_touched_only_when_it_is_named_with_yes(rent: Callable[..., Rented]) -> None:
    rented = rent()
    (theirs,) = rented.service.rows(1, "somebody-else")
    rented.rent()
    rented.until(lambda snapshot: any("does not know: somebody-else" in each.text for each in snapshot.notices))
    with pytest.raises(UsageError, match=f"kill {theirs} --yes"):
        rented.session.kill(theirs)
    assert not rented.service.pod(theirs)["is_gone"]
    assert rented.session.kill(theirs, yes=True) == theirs
    rented.until(lambda snapshot: any("is gone" in each.text for each in snapshot.notices))
    assert rented.service.pod(theirs)["is_gone"]
    with pytest.raises(UsageError, match="No pod 'nobody'"):
        rented.session.kill("nobody", yes=True)
