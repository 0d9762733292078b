"""Every fault that can be armed strikes where it should, as often as it should, and does or does not act."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests

from tests.fakes.orders import act, create, deploy, listed, names, order, read, running
from tests.fakes.runpod_faults import KINDS, Faults, Stage
from tests.fakes.service import RunpodService

_CREATE = "POST /v2/pods"
_LIST = "GET /v2/pods"
_GET = "GET /v2/pods/{id}"
_DEPLOY = "podFindAndDeployOnDemand"
Check = Callable[[RunpodService], None]
_CHECKS: dict[str, Check] = {}


def _checks(name: str) -> Callable[[Check], Check]:
    def keep(check: Check) -> Check:
        _CHECKS[name] = check
        return check

    return keep


def _create(service: RunpodService, **options: Any) -> requests.Response:
    return service.request("POST", "/v2/pods", json=order("struck"), **options)


def _made(service: RunpodService) -> int:
    return len(service.pods())


@pytest.mark.parametrize("fault", KINDS)
def test_each_fault_strikes_once_and_then_all_is_well(service: RunpodService, fault: str) -> None:
    _CHECKS[fault](service)
    assert service.armed() == []
    assert create(service, "afterwards")["name"] == "afterwards"
    assert "afterwards" in names(listed(service))


def test_each_fault_has_its_check_and_its_section() -> None:
    assert set(_CHECKS) == set(KINDS)
    assert all(kind.section and kind.does for kind in KINDS.values())
    assert {kind.stage for kind in KINDS.values()} == set(Stage)


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("error_500", 500, "Internal Server Error"),
        ("html_502", 502, "<html>"),
        ("cloudflare_1010", 403, "error code: 1010"),
        ("unauthorized", 401, "Unauthorized"),
        ("forbidden", 403, "Forbidden"),
        ("opaque_error", 500, "Something went wrong"),
    ],
)
def test_an_answer_instead_of_acting_makes_no_pod(service: RunpodService, fault: str, status: int, text: str) -> None:
    service.arm(fault, _CREATE)
    response = _create(service)
    assert (response.status_code, _made(service)) == (status, 0)
    assert text in response.text
    assert service.requests(_CREATE)[0]["faults"] == [fault]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [("error_500_after", 500, ""), ("html_502_after", 502, "<html>"), ("opaque_error_after", 500, "went wrong")],
)
def test_an_answer_after_acting_leaves_a_pod_that_bills(
    service: RunpodService, fault: str, status: int, text: str
) -> None:
    service.arm(fault, _CREATE)
    response = _create(service)
    assert response.status_code == status
    assert text in response.text
    assert len(service.billed("struck")) == 1


def _instead(fault: str) -> Check:
    def check(service: RunpodService) -> None:
        service.arm(fault, _CREATE)
        assert _create(service).status_code >= 400
        assert _made(service) == 0

    return check


def _after(fault: str) -> Check:
    def check(service: RunpodService) -> None:
        service.arm(fault, _CREATE)
        assert _create(service).status_code >= 400
        assert _made(service) == 1

    return check


for _name in ("error_500", "html_502", "cloudflare_1010", "unauthorized", "forbidden", "opaque_error"):
    _CHECKS[_name] = _instead(_name)
for _name in ("error_500_after", "html_502_after", "opaque_error_after"):
    _CHECKS[_name] = _after(_name)


@_checks("cut_before")
def _cut_before(service: RunpodService) -> None:
    service.arm("cut_before", _CREATE)
    with pytest.raises(requests.ConnectionError):
        _create(service)
    assert _made(service) == 0


@_checks("cut_after")
def _cut_after(service: RunpodService) -> None:
    service.arm("cut_after", _CREATE)
    with pytest.raises(requests.ConnectionError):
        _create(service)
    assert _made(service) == 1


@_checks("hang_before")
def _hang_before(service: RunpodService) -> None:
    """The client gives up, and nothing is done as long as it hangs."""
    service.arm("hang_before", _CREATE, seconds=1e6)
    with pytest.raises(requests.ReadTimeout):
        _create(service, timeout=0.2)
    assert _made(service) == 0


@_checks("hang_after")
def _hang_after(service: RunpodService) -> None:
    """The client gives up, and it was done."""
    service.arm("hang_after", _CREATE, seconds=1e6)
    with pytest.raises(requests.ReadTimeout):
        _create(service, timeout=0.5)
    assert _made(service) == 1


@_checks("rate_limited")
def _rate_limited(service: RunpodService) -> None:
    service.arm("rate_limited", _CREATE, seconds=7)
    response = _create(service)
    assert (response.status_code, response.headers["Retry-After"], _made(service)) == (429, "7", 0)
    service.arm("rate_limited", "myself")
    response = service.request("POST", "/graphql", json={"query": "{ myself { id } }"})
    assert (response.status_code, "errors" in response.json()) == (429, True)


@_checks("null_data")
def _null_data(service: RunpodService) -> None:
    service.arm("null_data", _DEPLOY)
    assert deploy(service) == {"data": {_DEPLOY: None}}
    assert _made(service) == 0


@_checks("vanish")
def _vanish(service: RunpodService) -> None:
    kept, lost = running(service, "kept"), running(service, "lost")
    service.arm("vanish", _GET, pod=lost["id"])
    assert names(listed(service)) == ["lost", "kept"], "another route does not set it off"
    assert service.request("GET", f"/v2/pods/{lost['id']}").status_code == 404
    assert read(service, kept["id"])["status"] == "RUNNING"


@_checks("port_change")
def _port_change(service: RunpodService) -> None:
    pod = running(service)
    service.arm("port_change", pod=pod["id"])
    changed = read(service, pod["id"])
    assert changed["ssh"]["direct"]["port"] == service.pod(pod["id"])["port"]
    assert (changed["status"], service.pod(pod["id"])["boot"]) == ("RUNNING", 1)


@_checks("evict")
def _evict(service: RunpodService) -> None:
    made = deploy(service, "id", operation="podRentInterruptable", bidPerGpu=0.1)["data"]["podRentInterruptable"]
    service.arm("evict", _GET, pod=made["id"])
    assert read(service, made["id"])["status"] == "EXITED"
    assert service.pod(made["id"])["change"].startswith("Outbid")


@_checks("lock")
def _lock(service: RunpodService) -> None:
    pod = running(service)
    service.arm("lock", pod=pod["id"])
    assert act(service, pod["id"], "stop") == 409
    answer = service.graphql(f'mutation {{ podStop(input: {{podId: "{pod["id"]}"}}) {{ id }} }}')
    assert "locked" in answer["errors"][0]["message"]


@pytest.mark.parametrize(
    ("fault", "status", "text"),
    [
        ("no_capacity", 400, "no instances currently available"),
        ("no_capacity_disk", 400, "with enough disk space"),
        ("no_capacity_machine", 400, "This machine does not have the resources"),
        ("no_balance", 402, "Insufficient balance"),
        ("pool_forbidden", 403, "pool"),
    ],
)
def test_a_refusal_is_told_by_its_text_and_rents_nothing(
    service: RunpodService, fault: str, status: int, text: str
) -> None:
    service.arm(fault, _CREATE)
    service.arm(fault, _DEPLOY)
    response = _create(service)
    assert (response.status_code, text in response.json()["detail"]) == (status, True)
    answer = deploy(service)
    assert answer["data"] == {_DEPLOY: None}
    assert text.rsplit("no ", maxsplit=1)[-1].split(" currently", maxsplit=1)[0] in answer["errors"][0]["message"]
    assert _made(service) == 0


for _name in ("no_capacity", "no_capacity_disk", "no_capacity_machine", "no_balance", "pool_forbidden"):
    _CHECKS[_name] = _instead(_name)


@_checks("start_refused")
def _start_refused(service: RunpodService) -> None:
    pod = running(service)
    act(service, pod["id"], "stop")
    service.arm("start_refused", "POST /v2/pods/{id}/action", pod=pod["id"])
    assert act(service, pod["id"], "start") == 400
    assert read(service, pod["id"])["status"] == "EXITED"
    assert act(service, pod["id"], "start") == 200


@_checks("never_boots")
def _never_boots(service: RunpodService) -> None:
    service.arm("never_boots", _CREATE)
    pod = create(service)
    service.advance(3600)
    seen = read(service, pod["id"])
    assert (seen["status"], seen["runtime"]) == ("STARTING", None)


@_checks("ports_never")
def _ports_never(service: RunpodService) -> None:
    service.arm("ports_never", _CREATE)
    pod = running(service)
    assert (pod["status"], pod["runtime"]["ports"], pod["ssh"]["direct"]) == ("RUNNING", [], None)


@_checks("running_without_runtime")
def _running_without_runtime(service: RunpodService) -> None:
    service.arm("running_without_runtime", _CREATE)
    pod = create(service)
    assert (pod["status"], pod["runtime"]) == ("RUNNING", None)
    service.advance(3)
    assert read(service, pod["id"])["runtime"] is not None


@_checks("image_hangs")
def _image_hangs(service: RunpodService) -> None:
    service.arm("image_hangs", _CREATE)
    pod = create(service)
    service.advance(3600)
    assert read(service, pod["id"])["status"] == "STARTING"


@_checks("image_exits")
def _image_exits(service: RunpodService) -> None:
    service.arm("image_exits", _CREATE)
    pod = create(service)
    assert read(service, pod["id"])["status"] == "PROVISIONING"
    service.advance(3600)
    assert read(service, pod["id"])["status"] == "EXITED"
    assert service.pod(pod["id"])["ended_at"] == pytest.approx(service.pod(pod["id"])["created_at"] + 2)


@_checks("late_in_lists")
def _late_in_lists(service: RunpodService) -> None:
    service.arm("late_in_lists", _CREATE, seconds=30)
    pod = create(service)
    assert names(listed(service)) == []
    assert read(service, pod["id"])["id"] == pod["id"]
    service.advance(31)
    assert names(listed(service)) == ["pod"]


@_checks("runtime_null")
def _runtime_null(service: RunpodService) -> None:
    pod = running(service)
    service.arm("runtime_null", _GET, pod=pod["id"])
    seen = [read(service, pod["id"]) for _ in range(2)]
    assert [(each["status"], each["runtime"] is None) for each in seen] == [("RUNNING", True), ("RUNNING", False)]


@_checks("flapping_status")
def _flapping_status(service: RunpodService) -> None:
    pod = running(service)
    service.arm("flapping_status", _GET, pod=pod["id"], times=2)
    assert [read(service, pod["id"])["status"] for _ in range(3)] == ["EXITED", "EXITED", "RUNNING"]
    assert service.billed("pod")[0]["billing_ended_at"] is None


@_checks("cost_zero")
def _cost_zero(service: RunpodService) -> None:
    pod = running(service)
    service.arm("cost_zero", "pod", pod=pod["id"])
    query = f'{{ pod(input: {{podId: "{pod["id"]}"}}) {{ desiredStatus costPerHr }} }}'
    assert service.graphql(query)["data"]["pod"] == {"desiredStatus": "RUNNING", "costPerHr": 0.0}
    assert service.graphql(query)["data"]["pod"]["costPerHr"] == 0.16


@_checks("list_empty")
def _list_empty(service: RunpodService) -> None:
    """It looks complete."""
    running(service)
    service.arm("list_empty", _LIST)
    assert listed(service) == {"pods": [], "pagination": {"nextCursor": None, "hasNextPage": False}}
    service.arm("list_empty", "myself")
    assert service.graphql("{ myself { pods { id } } }") == {"data": {"myself": {"pods": []}}}


@_checks("list_omits")
def _list_omits(service: RunpodService) -> None:
    first = running(service, "first")
    running(service, "second")
    service.arm("list_omits", _LIST, pod=first["id"])
    assert [names(listed(service)) for _ in range(2)] == [["second"], ["second", "first"]]
    service.arm("list_omits", "myself", pod=first["id"])
    answer = service.graphql("{ myself { pods { name } } }")
    assert answer["data"]["myself"]["pods"] == [{"name": "second"}]


@_checks("list_without_pagination")
def _list_without_pagination(service: RunpodService) -> None:
    running(service)
    service.arm("list_without_pagination", _LIST)
    assert set(listed(service)) == {"pods"}


@_checks("list_inconsistent")
def _list_inconsistent(service: RunpodService) -> None:
    running(service)
    service.arm("list_inconsistent", _LIST)
    assert listed(service)["pagination"] == {"nextCursor": None, "hasNextPage": True}


@_checks("list_repeats_cursor")
def _list_repeats_cursor(service: RunpodService) -> None:
    service.rows(4)
    cursor = listed(service, "?limit=1")["pagination"]["nextCursor"]
    service.arm("list_repeats_cursor", _LIST)
    assert listed(service, f"?limit=1&cursor={cursor}")["pagination"] == {"nextCursor": cursor, "hasNextPage": True}


@_checks("list_shifts")
def _list_shifts(service: RunpodService) -> None:
    service.rows(4)
    cursor = listed(service, "?limit=2")["pagination"]["nextCursor"]
    service.arm("list_shifts", _LIST)
    assert names(listed(service, f"?limit=2&cursor={cursor}")) == ["row-2", "row-1"]


# GraphQL's own way to fail (1.3)


@pytest.mark.parametrize(
    ("fault", "status", "keys", "made"),
    [
        ("error_500", 500, {"message"}, 0),
        ("error_500_after", 500, {"message"}, 1),
        ("unauthorized", 401, {"message"}, 0),
        ("opaque_error", 200, {"data", "errors"}, 0),
        ("opaque_error_after", 200, {"data", "errors"}, 1),
    ],
)
def test_graphql_fails_in_its_own_words(
    service: RunpodService, fault: str, status: int, keys: set[str], made: int
) -> None:
    service.arm(fault, _DEPLOY)
    wish = '{gpuTypeId: "NVIDIA RTX A5000", gpuCount: 1, imageName: "x"}'
    query = {"query": f"mutation {{ {_DEPLOY}(input: {wish}) {{ id }} }}"}
    response = service.request("POST", "/graphql", json=query)
    assert (response.status_code, set(response.json()), _made(service)) == (status, keys, made)


# settings that are faults that last


def test_a_key_that_is_revoked_is_a_401_everywhere(service: RunpodService) -> None:
    """7.3."""
    pod = running(service)
    service.set(key_revoked=True)
    assert service.request("GET", "/v2/pods").status_code == 401
    assert act(service, pod["id"], "stop") == 401
    assert service.request("POST", "/graphql", json={"query": "{ myself { id } }"}).status_code == 401
    service.set(key_revoked=False)
    assert names(listed(service)) == ["pod"]


def test_a_list_may_lag_and_an_answer_may_take_a_while(service: RunpodService) -> None:
    """4.7, 7.3."""
    service.set(list_lag_s=60.0)
    create(service)
    assert names(listed(service)) == []
    service.advance(61)
    assert names(listed(service)) == ["pod"]
    service.set(latency_s=1e6)
    with pytest.raises(requests.ReadTimeout):
        service.request("GET", "/v2/pods", timeout=0.2)


# arming


@pytest.mark.parametrize(
    "wish", [{"fault": "nothing"}, {}, {"fault": "vanish", "when": "now"}], ids=["unknown", "empty", "other field"]
)
def test_a_fault_that_does_not_exist_cannot_be_armed(service: RunpodService, wish: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="ValueError"):
        service.control("POST", "arm", wish)
    with pytest.raises(ValueError, match=r"fault|argument"):
        Faults().arm(wish)


@pytest.mark.parametrize("settings", [{"nothing": 1}, {"pull_delay_s": "soon"}])
def test_a_setting_that_does_not_exist_cannot_be_set(service: RunpodService, settings: dict[str, object]) -> None:
    before = service.control("GET", "settings")
    with pytest.raises(AssertionError, match=r"setting|must be of type"):
        service.set(**settings)
    assert service.control("GET", "settings") == before


def test_a_fault_strikes_so_many_times_and_only_on_its_route(service: RunpodService) -> None:
    service.arm("error_500", _LIST, times=2)
    create(service)
    assert [service.request("GET", "/v2/pods").status_code for _ in range(3)] == [500, 500, 200]


def test_two_faults_wait_for_each_other(service: RunpodService) -> None:
    """A lost answer to a create whose pod is late in lists: the worst that the facts tell of (5)."""
    service.arm("cut_after", _CREATE)
    service.arm("late_in_lists", _CREATE, seconds=20)
    with pytest.raises(requests.ConnectionError):
        _create(service)
    assert names(listed(service)) == []
    service.advance(21)
    assert names(listed(service)) == ["struck"]
    assert len(service.billed("struck")) == 1


def test_faults_can_be_disarmed(service: RunpodService) -> None:
    service.arm("error_500")
    assert json.loads(json.dumps(service.armed()))[0]["fault"] == "error_500"
    service.control("POST", "disarm")
    assert listed(service)["pods"] == []
