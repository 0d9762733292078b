"""REST v2, pods: the rules of 3.2, 3.3 and 7.3 of the facts, seen by a plain HTTP client."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import requests

from tests.fakes.orders import GPU, act, create, listed, names, order, read, running
from tests.fakes.runpod_pod import ACTIONS
from tests.fakes.service import RunpodService

_REQUIRED = {
    *("id", "name", "status", "actions", "image", "args", "disk", "mounts", "ports", "env", "registry", "cloud"),
    *("dataCenterId", "cudaVersion", "ssh", "template", "cost", "locked", "runtime", "createdAt", "startedAt"),
    "globalNetworking",
}


def test_a_pod_goes_through_its_states_as_service_time_passes(service: RunpodService) -> None:
    """3.3, 4.7: PROVISIONING, STARTING, RUNNING; direct SSH and a runtime only at the end; boot is billed."""
    pod = create(service)
    assert set(pod) >= _REQUIRED
    assert (pod["status"], pod["ssh"]["direct"], pod["runtime"]) == ("PROVISIONING", None, None)
    assert pod["cost"] == pytest.approx(0.16)
    service.advance(1)
    pod = read(service, pod["id"])
    assert (pod["status"], pod["ssh"]["direct"], pod["runtime"]) == ("STARTING", None, None)
    service.advance(2)
    pod = read(service, pod["id"])
    assert pod["status"] == "RUNNING"
    assert pod["ssh"]["direct"]["username"] == "root"
    (ssh_entry, http_entry) = pod["runtime"]["ports"]
    assert ssh_entry["public"] == pod["ssh"]["direct"]["port"]
    assert http_entry["ip"].startswith("100.65."), "an address of the provider's inner network"


@pytest.mark.parametrize(
    ("steps", "status"), [([], "RUNNING"), (["stop"], "EXITED"), (["stop", "start"], "PROVISIONING")]
)
def test_the_actions_of_a_state_are_told_and_others_are_a_409(
    service: RunpodService, steps: list[str], status: str
) -> None:
    pod_id = running(service)["id"]
    for step in steps:
        assert act(service, pod_id, step) == 200
    pod = read(service, pod_id)
    assert pod["status"] == status
    assert tuple(pod["actions"]) == ACTIONS[status]
    for wrong in {"start", "stop", "restart"} - set(ACTIONS[status]):
        assert act(service, pod_id, wrong) == 409


def test_a_stopped_pod_seems_to_cost_nothing_and_still_offers_the_proxy(service: RunpodService) -> None:
    """3.3: cost 0.0 when EXITED although the volume bills; stale runtime for a while (4.7)."""
    pod_id = running(service)["id"]
    assert act(service, pod_id, "stop") == 200
    pod = read(service, pod_id)
    assert (pod["status"], pod["cost"], pod["ssh"]["direct"]) == ("EXITED", 0.0, None)
    assert pod["ssh"]["proxy"]["host"] == "ssh.runpod.io"
    assert pod["runtime"] is not None
    service.advance(3)
    assert read(service, pod_id)["runtime"] is None


def test_a_start_changes_the_port_and_shows_the_old_one_once(service: RunpodService) -> None:
    """4.3."""
    pod = running(service)
    old = pod["ssh"]["direct"]["port"]
    act(service, pod["id"], "stop")
    act(service, pod["id"], "start")
    service.advance(2)
    seen = [read(service, pod["id"])["ssh"]["direct"]["port"] for _ in range(3)]
    assert seen[0] == old
    assert seen[1] == seen[2] != old


@pytest.mark.parametrize("how", ["DELETE", "action"])
def test_a_terminated_pod_is_a_404_and_in_no_list(service: RunpodService, how: str) -> None:
    pod_id = running(service)["id"]
    if how == "DELETE":
        assert service.request("DELETE", f"/v2/pods/{pod_id}").status_code == 204
        assert service.request("DELETE", f"/v2/pods/{pod_id}").status_code == 404
    else:
        assert act(service, pod_id, "terminate") == 204
    assert service.request("GET", f"/v2/pods/{pod_id}").status_code == 404
    assert listed(service)["pods"] == []


def test_a_terminated_pod_may_be_shown_for_a_while(service: RunpodService) -> None:
    """4.7: with ``terminated_shown_s``."""
    service.set(terminated_shown_s=5.0)
    pod_id = running(service)["id"]
    act(service, pod_id, "terminate")
    pod = read(service, pod_id)
    assert (pod["status"], pod["actions"], pod["cost"]) == ("TERMINATED", [], 0.0)
    service.advance(6)
    assert listed(service)["pods"] == []


def test_without_22_in_the_ports_there_is_no_direct_ssh(service: RunpodService) -> None:
    pod = running(service, ports=["8188/http"])
    assert pod["status"] == "RUNNING"
    assert pod["ssh"]["direct"] is None


@pytest.mark.parametrize(
    ("changes", "status", "fragment"),
    [
        ({"dataCenterId": "EU-RO-1"}, 422, "dataCenterId"),
        ({"imageName": "x"}, 422, "imageName"),
        ({"gpu": {"id": GPU, "count": 1, "minDownload": 5}}, 422, "gpu.minDownload"),
        ({"mounts": {"persistent": {"size": 5, "path": "/workspace"}}}, 422, "size"),
        ({"ports": ["22/udp"]}, 422, "ports"),
        ({"name": None}, 422, "name"),
        ({"image": None}, 422, "image"),
        ({"env": {"A": 1}}, 422, "env"),
        ({"cpu": {"id": "cpu5c", "vcpuCount": 4}}, 400, "Exactly one"),
        ({"gpu": None}, 400, "Exactly one"),
        ({"gpu": {"id": GPU}}, 400, "no instances"),
        ({"gpu": {"id": "RTX A5000", "count": 1}}, 400, "Unknown GPU type"),
        ({"gpu": {"id": "NVIDIA A40", "count": 1}}, 400, "no instances"),
        ({"gpu": {"id": GPU, "count": 1, "allowedCudaVersions": ["11.8"]}}, 400, "no instances"),
        (
            {"gpu": {"id": GPU, "count": 1, "allowedCudaVersions": ["12.8"], "minCudaVersion": "12.6"}},
            400,
            "mutually exclusive",
        ),
        ({"dataCenterIds": ["eu-ro-1"]}, 400, "no instances"),
        ({"templateId": "nope"}, 404, "template"),
        ({"ports": [f"{port}/http" for port in range(8000, 8011)]}, 400, "http ports"),
        ({"env": {f"V{number}": "" for number in range(51)}}, 400, "variables"),
        ({"mounts": {"network": [{"volumeId": "nope", "path": "/workspace"}]}}, 404, "volume"),
    ],
)
def test_a_create_that_is_wrong_is_a_problem_and_rents_nothing(
    service: RunpodService, changes: dict[str, Any], status: int, fragment: str
) -> None:
    response = service.request("POST", "/v2/pods", json=order(**changes))
    assert (response.status_code, response.headers["Content-Type"]) == (
        status,
        "application/problem+json; charset=utf-8",
    )
    assert fragment in response.json()["detail"]
    assert response.json()["status"] == status
    assert service.pods() == []


def test_a_422_names_every_unknown_property(service: RunpodService) -> None:
    body = service.request("POST", "/v2/pods", json=order(dataCenterId="x", imageName="y")).json()
    assert len(body["errors"]) == 2


def test_a_create_goes_where_it_is_told_to_and_is_secure_when_nothing_is_said(service: RunpodService) -> None:
    pod = create(service, cloud=None, dataCenterIds=["US-TX-3", "EU-RO-1"])
    assert (pod["cloud"], pod["dataCenterId"], pod["cost"]) == ("SECURE", "US-TX-3", 0.27)


def test_a_template_gives_image_and_ports(service: RunpodService) -> None:
    """4.10."""
    pod = create(service, image=None, ports=None, templateId="cw3nka7d08")
    assert pod["image"] == "runpod/comfyui:cuda12.8"
    assert {"22/tcp", "8188/http"} <= set(pod["ports"])
    assert pod["template"] == "cw3nka7d08"


def test_a_cpu_pod_has_no_gpu_and_no_volume_disk(service: RunpodService) -> None:
    cpu = {"id": "cpu5c", "vcpuCount": 4}
    pod = create(service, gpu=None, mounts=None, cpu=cpu)
    assert "gpu" not in pod
    assert pod["cpu"]["vcpuCount"] == 4
    assert service.request("POST", "/v2/pods", json=order(gpu=None, cpu=cpu)).status_code == 400


def test_start_ssh_puts_the_keys_of_the_account_in_unless_there_is_one(service: RunpodService) -> None:
    """3.3."""
    keys = ["ssh-ed25519 AAAA one", "ssh-ed25519 BBBB two"]
    assert "PUBLIC_KEY" not in create(service, startSsh=True)["env"]
    service.request("PUT", "/v2/account/ssh-keys", json={"keys": keys})
    assert create(service, startSsh=True)["env"]["PUBLIC_KEY"] == "\n".join(keys)
    assert create(service, startSsh=True, env={"PUBLIC_KEY": "mine"})["env"]["PUBLIC_KEY"] == "mine"


def test_a_patch_renames_locks_and_resets(service: RunpodService) -> None:
    """3.3: env replaces all and restarts the container; a locked pod refuses to stop (4.8)."""
    pod = running(service, env={"A": "1"})
    path = f"/v2/pods/{pod['id']}"
    assert service.request("PATCH", path, json={"name": "other"}).json()["name"] == "other"
    assert service.pod(pod["id"])["boot"] == 1
    patched = service.request("PATCH", path, json={"env": {"B": "2"}}).json()
    assert (patched["env"], patched["status"], service.pod(pod["id"])["boot"]) == ({"B": "2"}, "PROVISIONING", 2)
    assert service.request("PATCH", path, json={"locked": True}).json()["locked"] is True
    assert act(service, pod["id"], "stop") == 409
    assert service.request("PATCH", path, json={"env": {}}).status_code == 409
    assert read(service, pod["id"])["env"] == {"B": "2"}
    assert service.request("PATCH", path, json={"cloud": "SECURE"}).status_code == 422
    assert service.request("PATCH", path, json={"locked": False}).status_code == 200
    assert act(service, pod["id"], "stop") == 200


def test_adding_port_22_maps_it_without_a_restart(service: RunpodService) -> None:
    pod = running(service, ports=["8188/http"])
    service.request("PATCH", f"/v2/pods/{pod['id']}", json={"ports": ["22/tcp"]})
    assert read(service, pod["id"])["ssh"]["direct"] is not None
    assert service.pod(pod["id"])["boot"] == 1


def test_pages_are_newest_first_and_follow_each_other(service: RunpodService) -> None:
    service.rows(5)
    first = listed(service, "?limit=2")
    assert names(first) == ["row-4", "row-3"]
    assert first["pagination"]["hasNextPage"] is True
    second = listed(service, f"?limit=2&cursor={first['pagination']['nextCursor']}")
    third = listed(service, f"?limit=2&cursor={second['pagination']['nextCursor']}")
    assert [*names(second), *names(third)] == ["row-2", "row-1", "row-0"]
    assert third["pagination"] == {"nextCursor": None, "hasNextPage": False}


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", "?limit=x", "?cursor=bad"])
def test_a_page_that_cannot_be_is_a_422(service: RunpodService, query: str) -> None:
    assert service.request("GET", f"/v2/pods{query}").status_code == 422


def test_a_pod_that_comes_between_two_pages_shifts_them(service: RunpodService) -> None:
    """5: newest-first pages repeat a pod then."""
    service.rows(4)
    first = listed(service, "?limit=2")
    service.rows(1, name="new")
    assert names(listed(service, f"?limit=2&cursor={first['pagination']['nextCursor']}")) == ["row-2", "row-1"]


@pytest.mark.parametrize(
    ("key", "method", "path", "status"),
    [
        (None, "GET", "/v2/pods", 401),
        ("wrong", "GET", "/v2/pods", 401),
        ("", "DELETE", "/v2/pods", 405),
        ("", "GET", "/v2/nothing", 404),
        ("", "GET", "/v2/pods/nope", 404),
        ("", "GET", "/v1/pods", 410),
        ("", "POST", "/v1/pods/x/stop", 410),
    ],
)
def test_what_is_not_there_or_not_allowed(
    service: RunpodService, key: str | None, method: str, path: str, status: int
) -> None:
    response = service.request(method, path, key=key)
    assert response.status_code == status
    assert response.json()["status"] == status
    assert response.headers["x-request-id"]
    if path.startswith("/v2"):
        assert {"RateLimit", "RateLimit-Policy"} <= set(response.headers)


def test_the_limit_of_requests_is_told_and_kept_in_service_time(service: RunpodService) -> None:
    """3.2."""
    service.advance(61)
    service.set(rate_per_minute=2)
    answers = [service.request("GET", "/v2/pods") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert '"minute";q=2;w=60' in answers[0].headers["RateLimit-Policy"]
    assert answers[0].headers["RateLimit"].startswith('"minute";r=1;')
    service.advance(int(answers[2].headers["Retry-After"]))
    assert service.request("GET", "/v2/pods").status_code == 200


def test_the_default_agent_of_urllib_is_turned_away_before_its_key_is_looked_at(service: RunpodService) -> None:
    """5."""
    response = service.request("GET", "/v2/pods", key=None, headers={"User-Agent": "Python-urllib/3.11"})
    assert response.status_code == 403
    assert "error code: 1010" in response.text


@pytest.mark.parametrize(
    ("rights", "statuses"), [("own", (200, 200, 403)), ("read", (200, 403, 403)), ("none", (403, 403, 403))]
)
def test_the_key_inside_a_pod_may_do_what_its_rights_say(
    service: RunpodService, rights: str, statuses: tuple[int, int, int]
) -> None:
    """4.6: at most its own pod."""
    service.set(pod_key_rights=rights)
    own, other = running(service, "own")["id"], running(service, "other")["id"]
    key = service.pod(own)["key"]
    seen = service.request("GET", f"/v2/pods/{own}", key=key).status_code
    foreign = service.request("GET", f"/v2/pods/{other}", key=key).status_code
    stop = service.request("POST", f"/v2/pods/{own}/action", key=key, json={"action": "stop"}).status_code
    assert (seen, stop, foreign) == statuses
    assert service.request("GET", "/v2/pods", key=key).status_code == 403
    assert service.request("PATCH", f"/v2/pods/{own}", key=key, json={"name": "x"}).status_code == 403


def _events(service: RunpodService, path: str, count: int, **headers: str) -> list[tuple[str, dict[str, str]]]:
    """The first events of a stream that does not end: (id, data)."""
    with service.request("GET", path, stream=True, headers=headers) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        lines = response.iter_lines(chunk_size=1, decode_unicode=True)
        found: list[tuple[str, dict[str, str]]] = []
        for line in lines if count else ():
            if line.startswith("id: "):
                found.append((line[4:], {}))
            elif line.startswith("data: "):
                found[-1] = (found[-1][0], json.loads(line[6:]))
                if len(found) == count:
                    break
        return found


def test_the_system_log_tells_of_the_pull_and_the_stream_resumes_after_an_id(service: RunpodService) -> None:
    """3.3, 4.7."""
    pod_id = running(service)["id"]
    service.request("GET", "/v2/pods")
    path = f"/v2/pods/{pod_id}/logs"
    events = _events(service, f"{path}?source=system", 3)
    assert [data["line"].split(":")[0] for _, data in events] == [
        "still fetching image runpod/comfyui",
        "create container",
        "start container",
    ]
    assert {data["source"] for _, data in events} == {"system"}
    assert [event_id for event_id, _ in events] == [data["ts"] for _, data in events]
    assert _events(service, path, 1, **{"Last-Event-ID": events[0][0]}) == events[1:2], "its own line is not repeated"
    assert _events(service, f"{path}?since={events[1][0]}&tail=0", 1) == events[1:2]
    assert _events(service, f"{path}?tail=1", 1) == events[2:]


def test_the_stream_stays_open_and_brings_what_comes_later(service: RunpodService) -> None:
    pod_id = running(service)["id"]
    with service.request("GET", f"/v2/pods/{pod_id}/logs?tail=0", stream=True) as response:
        act(service, pod_id, "stop")
        lines = (line for line in response.iter_lines(chunk_size=1, decode_unicode=True) if line.startswith("data"))
        assert "stop container" in next(lines)


@pytest.mark.parametrize("query", ["?tail=5001", "?tail=-1", "?source=host"])
def test_a_log_that_cannot_be_is_a_422(service: RunpodService, query: str) -> None:
    pod_id = create(service)["id"]
    assert service.request("GET", f"/v2/pods/{pod_id}/logs{query}").status_code == 422


def test_a_thousand_pods_are_one_page_and_no_program(service: RunpodService) -> None:
    service.rows(1000)
    page = listed(service)
    assert len({pod["id"] for pod in page["pods"]}) == 1000
    assert page["pagination"]["hasNextPage"] is False


def test_every_request_is_noted_with_its_times(service: RunpodService) -> None:
    began = time.monotonic()
    create(service, "noted")
    (seen,) = service.requests("POST /v2/pods")
    assert (seen["status"], seen["who"], seen["body"]["name"]) == (201, "account", "noted")
    assert began <= seen["monotonic_s"] <= time.monotonic(), "one clock for every process of this machine"
    assert service.counts()["POST /v2/pods"] == 1


def test_a_key_in_the_address_is_no_key(service: RunpodService) -> None:
    """1.3."""
    url = f"{service.url}/v2/pods?api_key={service.api_key}"
    assert requests.get(url, headers={"User-Agent": "tests"}, timeout=10).status_code == 401
