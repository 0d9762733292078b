"""Faults, one at a time and in pairs, at every step of a rented pod's life; real processes, a shared clock.

In every case the bill ends at most 60 s after the rule says so, one pod was billed an intent, and the result is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.service import RunpodService
from tests.session.rented_story import Case, Step, Story, Way, picture_of
from tests.session.rented_world import Tenant, Trouble, quick_service, tenants

pytestmark = pytest.mark.faults
_CREATE = "POST /v2/pods"
_LIST = "GET /v2/pods"
_READ = "GET /v2/pods/{id}"
_DELETE = "DELETE /v2/pods/{id}"
_ACTION = "POST /v2/pods/{id}/action"
_NOTHING: dict[str, Any] = {"pods": 0, "usable": False}
T = Trouble


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    with quick_service(tmp_path_factory.mktemp("faults") / "it") as service:
        yield service


@pytest.fixture
def open_tenant(
    service: RunpodService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Tenant]]:
    with tenants(service, tmp_path, monkeypatch) as open_one:
        yield open_one


@pytest.fixture(scope="module")
def pictures(service: RunpodService, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the jobs make when nothing goes wrong."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        for step in (Step.END, Step.JOB):
            with tenants(service, tmp_path_factory.mktemp("plain"), patch) as open_one:
                story = Story(open_one(), Case(step=step, troubles=(), way=Way.STOP))
                story.tell()
                found[story.template] = picture_of(story.result)
    assert len(set(found.values())) == len(found)
    return found


QUICK = [
    Case(step=Step.CREATE, troubles=(T("cut_after", _CREATE), T("list_empty", _LIST)), way=Way.STOP),
    Case(step=Step.BOOT, troubles=(T("html_502", _READ, 3), T("runtime_null", _READ, 3)), way=Way.BATCH),
    Case(step=Step.END, troubles=(T("hang_after", _DELETE, seconds=35),), way=Way.STOP),
]
MORE = [
    Case(step=Step.TUNNEL, troubles=(T("port_change"), T("rate_limited", _READ)), way=Way.STOP),
    Case(step=Step.JOB, troubles=(T("network_gone", seconds=20),), way=Way.STOP),
    Case(step=Step.COLLECT, troubles=(T("port_change"), T("error_500", _READ, 4)), way=Way.STOP),
    Case(step=Step.END, troubles=(T("error_500", _DELETE, 7), T("cut_after", _READ, 4)), way=Way.IDLE),
    Case(step=Step.END, troubles=(T("key_revoked", seconds=30),), way=Way.CLOSE),
]
CREATE = [
    # the answer is lost, and so is the first look for the pod
    Case(step=Step.CREATE, troubles=(T("cut_after", _CREATE), T("list_omits", _LIST)), way=Way.KILL),
    Case(step=Step.CREATE, troubles=(T("cut_after", _CREATE), T("list_inconsistent", _LIST)), way=Way.CLOSE),
    Case(step=Step.CREATE, troubles=(T("cut_after", _CREATE), T("list_repeats_cursor", _LIST)), way=Way.STOP),
    Case(step=Step.CREATE, troubles=(T("html_502_after", _CREATE), T("late_in_lists", _CREATE, 1, 5)), way=Way.BATCH),
    Case(step=Step.CREATE, troubles=(T("error_500_after", _CREATE), T("error_500", _LIST, 4)), way=Way.STOP),
    Case(
        step=Step.CREATE, troubles=(T("opaque_error_after", _CREATE), T("list_without_pagination", _LIST)), way=Way.IDLE
    ),
    Case(step=Step.CREATE, troubles=(T("hang_after", _CREATE, 1, 35), T("rate_limited", _LIST)), way=Way.BATCH),
    Case(step=Step.CREATE, troubles=(T("hang_after", _CREATE, 1, 35), T("cut_before", _LIST, 2)), way=Way.KILL),
    Case(step=Step.CREATE, troubles=(T("cut_after", _CREATE), T("late_in_lists", _CREATE, 1, 30)), way=Way.STOP),
    # refused, and another is tried
    Case(step=Step.CREATE, troubles=(T("no_capacity", _CREATE), T("html_502", _READ, 4)), way=Way.BATCH),
    Case(step=Step.CREATE, troubles=(T("no_capacity_machine", _CREATE), T("no_capacity", _CREATE)), way=Way.IDLE),
    Case(step=Step.CREATE, troubles=(T("pool_forbidden", _CREATE), T("rate_limited", _READ, 2)), way=Way.STOP),
    # nothing was made
    Case(step=Step.CREATE, troubles=(T("hang_before", _CREATE, 1, 35),), way=Way.STOP, **_NOTHING),
    Case(step=Step.CREATE, troubles=(T("no_balance", _CREATE),), way=Way.STOP, **_NOTHING),
    Case(step=Step.CREATE, troubles=(T("key_revoked", seconds=20),), way=Way.STOP, **_NOTHING),
    Case(step=Step.CREATE, troubles=(T("no_capacity", _CREATE), T("cut_after", _CREATE)), way=Way.STOP, **_NOTHING),
    # the service carries the order out when nobody waits for the answer any more
    Case(step=Step.CREATE, troubles=(T("network_gone", seconds=20),), way=Way.STOP),
]
BOOT = [
    Case(step=Step.BOOT, troubles=(T("cost_zero", _READ, 2), T("rate_limited", _READ)), way=Way.KILL),
    Case(step=Step.BOOT, troubles=(T("error_500", _READ, 9), T("cut_before", _READ, 3)), way=Way.STOP),
    Case(step=Step.BOOT, troubles=(T("running_without_runtime", _CREATE), T("unauthorized", _READ, 2)), way=Way.IDLE),
    Case(step=Step.BOOT, troubles=(T("hang_before", _READ, 1, 35),), way=Way.BATCH),
    # it runs from the first read on, so the fault surely shows
    Case(step=Step.BOOT, troubles=(T("running_without_runtime", _CREATE), T("flapping_status", _READ)), way=Way.STOP),
    Case(step=Step.BOOT, troubles=(T("key_revoked", seconds=20),), way=Way.CLOSE),
    Case(step=Step.BOOT, troubles=(T("ports_never", _CREATE), T("cut_after", _DELETE)), way=Way.STOP, pods=2),
    Case(step=Step.BOOT, troubles=(T("never_boots", _CREATE), T("error_500", _DELETE, 4)), way=Way.BATCH, pods=2),
]
TUNNEL = [
    Case(step=Step.TUNNEL, troubles=(T("port_change"),), way=Way.KILL),
    Case(step=Step.TUNNEL, troubles=(T("network_gone", seconds=20),), way=Way.IDLE),
    Case(step=Step.TUNNEL, troubles=(T("port_change"), T("flapping_status", _READ)), way=Way.STOP),
    Case(step=Step.TUNNEL, troubles=(T("port_change"), T("key_revoked", seconds=20)), way=Way.CLOSE),
    Case(step=Step.TUNNEL, troubles=(T("vanish"),), way=Way.STOP, result=False),
    Case(step=Step.TUNNEL, troubles=(T("evict"), T("error_500", _DELETE, 4)), way=Way.STOP, result=False),
]
JOB = [
    Case(step=Step.JOB, troubles=(T("port_change"), T("html_502", _READ, 4)), way=Way.STOP),
    Case(step=Step.JOB, troubles=(T("port_change"), T("flapping_status", _READ)), way=Way.BATCH),
    Case(step=Step.JOB, troubles=(T("port_change"), T("hang_before", _READ, 1, 35)), way=Way.BATCH),
    Case(step=Step.JOB, troubles=(T("port_change"), T("key_revoked", seconds=20)), way=Way.KILL),
    Case(step=Step.JOB, troubles=(T("vanish"), T("error_500", _READ, 3)), way=Way.STOP, result=False),
    Case(step=Step.JOB, troubles=(T("evict"), T("rate_limited", _DELETE)), way=Way.CLOSE, result=False),
    Case(step=Step.JOB, troubles=(T("no_money"),), way=Way.STOP, result=False),
]
COLLECT = [
    Case(step=Step.COLLECT, troubles=(T("network_gone", seconds=20),), way=Way.STOP),
    Case(step=Step.COLLECT, troubles=(T("port_change"),), way=Way.BATCH),
    Case(step=Step.COLLECT, troubles=(T("port_change"), T("rate_limited", _READ, 2)), way=Way.IDLE),
]
END = [
    Case(step=Step.END, troubles=(T("cut_before", _DELETE, 2),), way=Way.STOP),
    Case(step=Step.END, troubles=(T("cut_after", _DELETE), T("html_502", _READ, 4)), way=Way.STOP),
    Case(step=Step.END, troubles=(T("html_502", _DELETE, 4), T("html_502_after", _DELETE)), way=Way.BATCH),
    Case(step=Step.END, troubles=(T("hang_before", _DELETE, 1, 35),), way=Way.KILL),
    Case(step=Step.END, troubles=(T("rate_limited", _DELETE, 3, 5),), way=Way.STOP),
    Case(step=Step.END, troubles=(T("unauthorized", _DELETE, 2), T("forbidden", _DELETE)), way=Way.KILL),
    Case(step=Step.END, troubles=(T("opaque_error", _DELETE, 4), T("opaque_error_after", _DELETE)), way=Way.CLOSE),
    Case(step=Step.END, troubles=(T("cloudflare_1010", _DELETE, 4), T("unauthorized", _READ, 2)), way=Way.STOP),
    Case(step=Step.END, troubles=(T("error_500_after", _DELETE), T("hang_before", _READ, 1, 35)), way=Way.BATCH),
    Case(step=Step.END, troubles=(T("network_gone", seconds=20),), way=Way.KILL),
    Case(step=Step.END, troubles=(T("network_gone", seconds=20), T("lock")), way=Way.CLOSE),
    Case(step=Step.END, troubles=(T("evict"), T("error_500", _DELETE, 4)), way=Way.IDLE),
]
SLOW = [pytest.param(case, marks=pytest.mark.slow) for case in (*MORE, *CREATE, *BOOT, *TUNNEL, *JOB, *COLLECT, *END)]


@pytest.mark.parametrize("case", [*QUICK, *SLOW], ids=str)
def test_the_bill_ends_and_the_result_is_here(
    open_tenant: Callable[..., Tenant], pictures: dict[str, bytes], case: Case
) -> None:
    story = Story(open_tenant(), case)
    story.tell()
    story.check(pictures[story.template])
