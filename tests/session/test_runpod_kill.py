"""`kill` overtakes everything: its request is at the service before any of the polls that hang there is answered."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autopod_nb.models.pod import PodState
from tests.fakes.service import RunpodService
from tests.session.rented_world import Tenant, end_processes_of, quick_service

pytestmark = pytest.mark.faults
_CREATE = "POST /v2/pods"
_LIST = "GET /v2/pods"
_READ = "GET /v2/pods/{id}"
_DELETE = "DELETE /v2/pods/{id}"
_PODS = 20
_HANG_S = 100_000.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with quick_service(tmp_path_factory.mktemp("kill") / "it") as service:
        yield service


@pytest.fixture
def tenant(service: RunpodService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    """One whose client has the patience of real use, so that what hangs goes on to hang."""
    service.reset()
    service.set(spend_limit_usd=1000.0)
    service.stock(100)
    tenant = Tenant(tmp_path, service, monkeypatch, timeout_s=25.0)
    yield tenant
    service.reset()  # nothing hangs any more
    service.advance(_HANG_S + 1)  # and what hung is answered
    tenant.close()
    end_processes_of(tenant.home, service)


def watch_many(tenant: Tenant, count: int) -> list[str]:
    """Pods that never come up, so that each is asked for four times a second. Our ids of them."""
    tenant.service.arm("never_boots", _CREATE, times=count)
    plan = tenant.session.plan(tenant.request())
    pod_ids = [tenant.session.connect(plan) for _ in range(count)]
    tenant.until(lambda snapshot: all(snapshot.pods[each].state is PodState.BOOTING for each in pod_ids))
    return pod_ids


def let_polls_hang(tenant: Tenant) -> list[dict[str, Any]]:
    """From now on nobody learns how a pod is. The requests that hang already."""
    for route in (_LIST, _READ):
        tenant.service.arm("hang_before", route, times=1000, seconds=_HANG_S)
    tenant.follow(lambda: bool(hanging(tenant.service)), step_s=0.0)
    return hanging(tenant.service)


def hanging(service: RunpodService) -> list[dict[str, Any]]:
    return [each for each in service.requests() if each["status"] is None]


def test_kill_is_at_the_service_while_all_polls_hang(tenant: Tenant) -> None:
    """With 20 pods that are watched; the other 19 live on."""
    pod_ids = watch_many(tenant, _PODS)
    hung = let_polls_hang(tenant)
    began_s = time.monotonic()
    tenant.session.kill(pod_ids[7])
    tenant.follow(lambda: bool(tenant.service.requests(_DELETE)), step_s=0.0)
    (delete,) = tenant.service.requests(_DELETE)
    sys.stdout.write(f"kill on the wire: {1000 * (delete['monotonic_s'] - began_s):.1f} ms\n")
    still = {each["monotonic_s"] for each in hanging(tenant.service)}
    assert {each["monotonic_s"] for each in hung} <= still, "a poll was answered first"
    gone = [pod["name"] for pod in tenant.bills() if pod["billing_ended_at"] is not None]
    assert gone == [tenant.pod(pod_ids[7]).name]


def test_terminated_is_said_after_the_service_does_not_know_the_pod_any_more(tenant: Tenant) -> None:
    """That the order to end it was accepted is not enough, neither for the panel nor for the books."""
    (pod_id,) = watch_many(tenant, 1)
    tenant.service.arm("hang_before", _READ, times=1000, seconds=_HANG_S)
    tenant.session.kill(pod_id)
    tenant.follow(
        lambda: any(each["status"] in (200, 202, 204) for each in tenant.service.requests(_DELETE)), step_s=0.0
    )
    tenant.let_pass(2)
    tenant.session.wait_written()
    (row,) = tenant.ledger().read_pods()
    assert (tenant.pod(pod_id).state, row.state) == (PodState.TERMINATING, PodState.TERMINATING)
    tenant.jump(_HANG_S + 1)
    tenant.until_pod(pod_id, PodState.TERMINATED)
    assert 404 in {each["status"] for each in tenant.service.requests(_READ)}


def test_a_list_without_the_pod_is_not_believed_when_others_are_watched(tenant: Tenant) -> None:
    """A complete and empty list: the pod itself is asked for before its end is said."""
    pod_ids = watch_many(tenant, 3)
    tenant.service.arm("list_empty", _LIST, times=1000)
    tenant.let_pass(2)
    assert {tenant.pod(each).state for each in pod_ids} == {PodState.BOOTING}
    tenant.session.kill(pod_ids[0])
    tenant.until_pod(pod_ids[0], PodState.TERMINATED)
    asked = [each for each in tenant.service.requests(_READ) if each["status"] == 404]
    assert asked, "nobody asked for the pod itself"
    assert {tenant.pod(each).state for each in pod_ids[1:]} == {PodState.BOOTING}
