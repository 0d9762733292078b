"""A result that cannot be fetched keeps its pod, but stopped: only the volume bills, and that is shown."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from tests.fakes.service import RunpodService
from tests.session.rented_story import MOST_S, picture_of
from tests.session.rented_world import Tenant, Trouble, quick_service, tenants

pytestmark = [pytest.mark.faults, pytest.mark.slow]
_ACTION = "POST /v2/pods/{id}/action"
_READ = "GET /v2/pods/{id}"
_DELETE = "DELETE /v2/pods/{id}"
T = Trouble


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with quick_service(tmp_path_factory.mktemp("unsaved") / "it") as service:
        yield service


@pytest.fixture
def tenant(service: RunpodService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    with tenants(service, tmp_path, monkeypatch) as open_one:
        yield open_one()


def stop_with_a_result(tenant: Tenant, *troubles: Trouble) -> str:
    """A pod that is stopped, for its result cannot be written here. Our id of it."""
    pod_id = tenant.rent()
    tenant.until_rendering(tenant.submit("slow", "wanted", steps=8))
    tenant.out.write_text("in the way")
    tenant.follow(lambda: "cannot be written" in tenant.session.snapshot.jobs["wanted"].warning)
    tenant.begin(*troubles)
    said_s = tenant.now_s
    tenant.session.stop(now=True)
    tenant.follow(lambda: tenant.pod(pod_id).state is PodState.STOPPED)
    (bill,) = tenant.bills()
    running, stopped = bill["segments"]
    assert running["end"] - max(said_s, tenant.lifted_s) <= MOST_S
    assert stopped["end"] is None
    assert Decimal(stopped["usd_per_hour"]["gpu"]) == 0, "only the volume bills"
    return pod_id


@pytest.mark.parametrize(
    "troubles",
    [
        (T("error_500", _ACTION, 4), T("cut_after", _ACTION)),
        (T("hang_after", _ACTION, 1, 35),),
        (T("network_gone", seconds=20),),
        (T("rate_limited", _ACTION, 2), T("html_502_after", _ACTION)),
        (T("key_revoked", seconds=20),),
    ],
    ids=lambda troubles: "+".join(map(str, troubles)),
)
def test_the_next_contact_fetches_the_result_and_ends_the_pod(tenant: Tenant, troubles: tuple[Trouble, ...]) -> None:
    pod_id = stop_with_a_result(tenant, *troubles)
    assert f"Pod {pod_id} is stopped, not terminated" in tenant.notices
    assert "its volume bills" in tenant.notices
    assert tenant.pod(pod_id).unsaved == 1
    tenant.follow(lambda: tenant.ledger().read_pods()[0].state is PodState.STOPPED)
    tenant.out.unlink()
    tenant.begin(T("error_500", _DELETE, 4))
    tenant.session.adopt()
    tenant.follow(lambda: tenant.session.snapshot.jobs["wanted"].state is JobState.DONE)
    done_s = tenant.now_s
    tenant.follow(lambda: not tenant.is_billed())
    (bill,) = tenant.bills()
    assert bill["billing_ended_at"] - done_s <= MOST_S
    assert len(picture_of(tenant.out / "wanted.png")) == 64 * 64 * 3
    tenant.follow(lambda: tenant.ledger().read_pods()[0].state is PodState.TERMINATED)


def test_a_pod_that_cannot_be_started_again_keeps_its_result_and_is_shown(tenant: Tenant) -> None:
    """No GPU is free on its machine: nothing is thrown away, and the volume is all that bills."""
    pod_id = stop_with_a_result(tenant)
    tenant.out.unlink()
    tenant.begin(T("start_refused", None, 1000))
    tenant.session.adopt()
    tenant.follow(lambda: tenant.pod(pod_id).state is PodState.STOPPED and bool(tenant.pod(pod_id).error))
    assert tenant.pod(pod_id).unsaved == 1
    (bill,) = tenant.bills()
    assert bill["segments"][-1]["end"] is None
    assert Decimal(bill["segments"][-1]["usd_per_hour"]["gpu"]) == 0
    tenant.session.kill(pod_id, yes=True)  # only a person gives it up
    tenant.follow(lambda: tenant.pod(pod_id).over)
    assert not tenant.is_billed()
