"""GraphQL: what the SDK sends (1.2 to 1.4) and what is beyond it (2), through a real parser."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.fakes.orders import GPU, act, deploy, literal, running
from tests.fakes.service import RunpodService

_POD = """
  id containerDiskInGb costPerHr desiredStatus dockerArgs dockerId env gpuCount imageName lastStatusChange machineId
  memoryInGb name podType port ports uptimeSeconds vcpuCount volumeInGb volumeMountPath
  runtime { ports { ip isIpPublic privatePort publicPort type } } machine { gpuDisplayName }
"""
_GPU = """
  maxGpuCount id displayName manufacturer memoryInGb cudaCores secureCloud communityCloud securePrice communityPrice
  oneMonthPrice threeMonthPrice oneWeekPrice communitySpotPrice secureSpotPrice
  lowestPrice(input: {gpuCount: 1}) { minimumBidPrice uninterruptablePrice }
"""
_CREATED = "id imageName env machineId machine { podHostId }"


def _data(answer: Any) -> Any:
    assert "errors" not in answer, answer
    return answer["data"]


def _error(answer: Any) -> str:
    return str(answer["errors"][0]["message"])


def _pod(service: RunpodService, pod_id: str, selected: str = _POD, key: str = "") -> Any:
    return service.graphql(f'query pod {{ pod(input: {{podId: "{pod_id}"}}) {{ {selected} }} }}', key=key)


def _input(operation: str, selected: str = "{ id desiredStatus }", **wish: object) -> str:
    return f"mutation {{ {operation}(input: {literal(wish)}) {selected} }}"


def test_the_sdk_gets_through_a_life(service: RunpodService) -> None:
    """7.1: its nine calls, with the fields that it selects and nothing else."""
    assert len(_data(service.graphql("query GpuTypes { gpuTypes { id displayName memoryInGb } }"))["gpuTypes"]) > 20
    (gpu,) = _data(service.graphql(f'query GpuTypes {{ gpuTypes(input: {{id: "{GPU}"}}) {{ {_GPU} }} }}'))["gpuTypes"]
    assert gpu["lowestPrice"] == {"minimumBidPrice": 0.08, "uninterruptablePrice": 0.16}
    user = _data(service.graphql("query myself { myself { id pubKey networkVolumes { id name size dataCenterId } } }"))
    assert user["myself"]["networkVolumes"] == []
    env = [{"key": "A", "value": "1"}]
    made = _data(deploy(service, _CREATED, env=env, volumeInGb=20))["podFindAndDeployOnDemand"]
    assert set(made) == {"id", "imageName", "env", "machineId", "machine"}, "no price and no status"
    assert made["env"] == ["A=1"]
    seen = _data(_pod(service, made["id"]))["pod"]
    assert (seen["desiredStatus"], seen["runtime"], seen["uptimeSeconds"]) == ("RUNNING", None, 0)
    service.advance(3)
    (seen,) = _data(service.graphql(f"query myPods {{ myself {{ pods {{ {_POD} }} }} }}"))["myself"]["pods"]
    assert seen["runtime"]["ports"][0]["isIpPublic"] is True
    stopped = _data(service.graphql(_input("podStop", podId=made["id"])))["podStop"]
    assert stopped == {"id": made["id"], "desiredStatus": "EXITED"}
    resumed = _data(
        service.graphql(_input("podResume", f"{{ {_CREATED} desiredStatus }}", podId=made["id"], gpuCount=1))
    )
    assert resumed["podResume"]["desiredStatus"] == "RUNNING"
    end = _input("podTerminate", "", podId=made["id"])
    assert _data(service.graphql(end)) == {"podTerminate": None}
    assert _error(service.graphql(end)) == "pod not found to terminate"
    assert _data(_pod(service, made["id"])) == {"pod": None}


def test_an_http_port_is_not_public_and_a_stopped_pod_keeps_a_stale_runtime(service: RunpodService) -> None:
    """2.3."""
    pod_id = running(service)["id"]
    ports = _data(_pod(service, pod_id))["pod"]["runtime"]["ports"]
    assert [(port["type"], port["isIpPublic"]) for port in ports] == [("tcp", True), ("http", False)]
    act(service, pod_id, "stop")
    seen = _data(_pod(service, pod_id, "desiredStatus lastStatusChange runtime { uptimeInSeconds }"))["pod"]
    assert (seen["desiredStatus"], seen["runtime"] is None) == ("EXITED", False)
    assert seen["lastStatusChange"].startswith("Exited by user")
    service.advance(3)
    assert _data(_pod(service, pod_id))["pod"]["runtime"] is None


def test_a_community_pod_has_a_public_address_only_if_it_asked_for_one(service: RunpodService) -> None:
    """4.2."""
    flags = {}
    for wish in (True, False):
        made = _data(deploy(service, "id", cloudType="COMMUNITY", supportPublicIp=wish))["podFindAndDeployOnDemand"]
        service.advance(3)
        flags[wish] = _data(_pod(service, made["id"]))["pod"]["runtime"]["ports"][0]["isIpPublic"]
    assert flags == {True: True, False: False}


@pytest.mark.parametrize("name", ['a "quoted" name', "two\nlines"])
def test_text_that_is_pasted_unescaped_is_a_syntax_error(service: RunpodService, name: str) -> None:
    """1.4."""
    answer = deploy(service, "id", name=name)
    assert answer["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
    assert service.pods() == []


def test_text_that_is_escaped_arrives(service: RunpodService) -> None:
    value = 'quotes " and \\ and\nlines and é'
    env = [{"key": "A", "value": json.dumps(value)[1:-1]}]
    made = _data(deploy(service, "env", env=env))["podFindAndDeployOnDemand"]
    assert made["env"] == [f"A={value}"]


def test_variables_work_and_unknown_fields_do_not(service: RunpodService) -> None:
    query = (
        "mutation M($input: PodFindAndDeployOnDemandInput) { podFindAndDeployOnDemand(input: $input) { id costPerHr } }"
    )
    wish = {"gpuTypeId": GPU, "imageName": "runpod/comfyui", "cloudType": "SECURE", "name": "by variables"}
    assert _data(service.graphql(query, input=wish))["podFindAndDeployOnDemand"]["costPerHr"] == 0.27
    wrong = service.graphql(query, input={**wish, "gpu": 1})
    assert "gpu" in _error(wrong)
    assert len(service.pods()) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ myself { nothing } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ __schema { types { name } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ myself { id }", "GRAPHQL_PARSE_FAILED"),
        (_input("podStop", podId="nope"), "RUNPOD"),
    ],
)
def test_errors_are_200_with_a_code(service: RunpodService, query: str, code: str) -> None:
    response = service.request("POST", "/graphql", json={"query": query})
    assert response.status_code == 200
    assert response.json()["errors"][0]["extensions"]["code"] == code


def test_without_a_key_only_gpu_types_answer(service: RunpodService) -> None:
    assert _data(service.graphql("{ gpuTypes { id } }", key=None))
    for query in ("{ myself { id } }", "{ gpuTypes { id } myself { id } }"):
        response = service.request("POST", "/graphql", key=None, json={"query": query})
        assert response.status_code == 401
        assert response.headers["Content-Type"].startswith("application/json")
    assert service.request("POST", "/graphql", key="wrong", json={"query": "{ gpuTypes { id } }"}).status_code == 401


def test_the_key_inside_a_pod_sees_its_pod_and_not_the_account(service: RunpodService) -> None:
    """2.1, 4.6."""
    own, other = running(service, "own")["id"], running(service, "other")["id"]
    key = service.pod(own)["key"]
    assert _data(_pod(service, own, "id", key=key))["pod"]["id"] == own
    assert _error(_pod(service, other, "id", key=key)) == "Unauthorized"
    assert _error(service.graphql("{ myself { id } }", key=key)) == "Unauthorized"
    service.set(pod_key_rights="read")
    stop = _input("podStop", podId=own)
    assert _error(service.graphql(stop, key=key)) == "Unauthorized"
    assert service.pod(own)["intent"] == "RUNNING"
    service.set(pod_key_rights="own")
    assert _data(service.graphql(stop, key=key))["podStop"]["desiredStatus"] == "EXITED"


def test_without_a_gpu_the_sdk_makes_a_cpu_pod_and_that_is_counted(service: RunpodService) -> None:
    """1.4."""
    wish = {"gpuTypeId": None, "gpuCount": None, "instanceId": "cpu3c-4-8"}
    made = _data(deploy(service, "id vcpuCount gpuCount", operation="deployCpuPod", **wish))["deployCpuPod"]
    assert (made["vcpuCount"], made["gpuCount"]) == (4, 0)
    assert service.counts()["deployCpuPod"] == 1


def test_a_spot_pod_costs_its_bid_for_each_gpu_and_can_be_outbid(service: RunpodService) -> None:
    """2.2, 7.2."""
    wish = {"gpuCount": 2, "bidPerGpu": 0.1, "volumeInGb": 20}
    made = _data(deploy(service, "id podType costPerHr", operation="podRentInterruptable", **wish))[
        "podRentInterruptable"
    ]
    assert (made["podType"], made["costPerHr"]) == ("INTERRUPTABLE", 0.2)
    service.evict(made["id"])
    seen = _data(_pod(service, made["id"], "desiredStatus lastStatusChange"))["pod"]
    assert seen["desiredStatus"] == "EXITED"
    assert seen["lastStatusChange"].startswith("Outbid")
    back = service.graphql(_input("podBidResume", "{ costPerHr }", podId=made["id"], gpuCount=2, bidPerGpu=0.15))
    assert _data(back)["podBidResume"]["costPerHr"] == pytest.approx(0.3)


def test_no_capacity_is_an_error_and_data_that_is_null(service: RunpodService) -> None:
    """4.7."""
    service.stock(0)
    answer = deploy(service)
    assert answer["data"] == {"podFindAndDeployOnDemand": None}
    assert "no longer any instances available with the requested specifications" in _error(answer)
    assert answer["errors"][0]["extensions"]["code"] == "RUNPOD"
    spot = deploy(service, operation="podRentInterruptable", bidPerGpu=0.1)
    assert "with the request specifications" in _error(spot)


def test_fallback_lists_and_countries_are_graphqls_own(service: RunpodService) -> None:
    """3.5."""
    service.stock(0, gpu=GPU)
    wish: dict[str, Any] = {"gpuTypeId": None, "gpuTypeIdList": [GPU, "NVIDIA RTX A4000"], "countryCode": "JP"}
    made = _data(deploy(service, "machine { gpuTypeId dataCenterId }", **wish))["podFindAndDeployOnDemand"]
    assert made["machine"] == {"gpuTypeId": "NVIDIA RTX A4000", "dataCenterId": "AP-JP-1"}


def test_timers_are_taken_and_nothing_acts_on_them(service: RunpodService) -> None:
    """2.2: instants only."""
    made = _data(deploy(service, "id", stopAfter="2020-01-01T00:00:00Z"))["podFindAndDeployOnDemand"]
    service.advance(3600)
    assert service.pod(made["id"])["intent"] == "RUNNING"
    assert "errors" in deploy(service, "id", terminateAfter="2h")


def test_an_edit_restarts_the_container(service: RunpodService) -> None:
    pod_id = running(service)["id"]
    edited = service.graphql(
        _input("podEditJob", "{ imageName runtime { uptimeInSeconds } }", podId=pod_id, imageName="x")
    )
    assert _data(edited)["podEditJob"] == {"imageName": "x", "runtime": None}
    assert service.pod(pod_id)["boot"] == 2


def test_keys_are_replaced_by_lines(service: RunpodService) -> None:
    """2.2."""
    keys = "ssh-ed25519 AAAA a\\n\\nssh-rsa BBBB b"
    answer = service.graphql(f'mutation {{ updateUserSettings(input: {{pubKey: "{keys}"}}) {{ id pubKey }} }}')
    assert _data(answer)["updateUserSettings"]["pubKey"] == "ssh-ed25519 AAAA a\n\nssh-rsa BBBB b"
    assert service.request("GET", "/v2/account/ssh-keys").json()["keys"] == ["ssh-ed25519 AAAA a", "ssh-rsa BBBB b"]


def test_volumes_are_made_grown_and_deleted(service: RunpodService) -> None:
    wish = {"name": "v", "size": 10, "dataCenterId": "EU-RO-1"}
    fields = "{ id size dataCenterId }"
    made = _data(service.graphql(_input("createNetworkVolume", fields, **wish)))["createNetworkVolume"]
    grown = _data(service.graphql(_input("updateNetworkVolume", fields, id=made["id"], size=20)))
    assert grown["updateNetworkVolume"]["size"] == 20
    assert "increased" in _error(service.graphql(_input("updateNetworkVolume", fields, id=made["id"], size=5)))
    pod = _data(deploy(service, "networkVolumeId machine { dataCenterId }", networkVolumeId=made["id"]))
    assert pod["podFindAndDeployOnDemand"]["networkVolumeId"] == made["id"]
    delete = _input("deleteNetworkVolume", "", id=made["id"])
    assert _data(service.graphql(delete)) == {"deleteNetworkVolume": None}
    assert _error(service.graphql(delete)) == "Tried to delete nonexistent network volume"


def test_the_account_tells_of_its_money(service: RunpodService) -> None:
    """2.1."""
    running(service)
    service.advance(3600)
    query = """{ myself { id email clientBalance currentSpendPerHr spendLimit underBalance minBalance
      spendDetails { localStoragePerHour networkStoragePerHour gpuComputePerHour } dailyCharges { amount updatedAt }
      datacenters { id } billing { gpuCloud { gpuTypeId time timeBilledSeconds amount } storage { amount }
      summary { time gpuCloudAmount } } } }"""
    seen = _data(service.graphql(query))["myself"]
    assert seen["spendDetails"]["gpuComputePerHour"] == pytest.approx(0.16)
    assert seen["billing"]["gpuCloud"][0]["amount"] == pytest.approx(100 - seen["clientBalance"], abs=0.001)
    assert (seen["spendLimit"], seen["underBalance"]) == (80, False)


def test_places_and_lowest_prices_follow_the_stock(service: RunpodService) -> None:
    """2.1."""
    service.stock(0, gpu=GPU)
    service.stock(2, gpu=GPU, cloud="SECURE", place="EU-RO-1")
    wish = "lowestPrice(input: {gpuCount: 1, secureCloud: %s}) { stockStatus uninterruptablePrice availableGpuCounts }"
    query = f'{{ gpuTypes(input: {{id: "{GPU}"}}) {{ a: {wish % "true"} b: {wish % "false"} }} }}'
    (seen,) = _data(service.graphql(query))["gpuTypes"]
    assert (seen["a"]["stockStatus"], seen["a"]["uninterruptablePrice"]) == ("Low", 0.27)
    assert (seen["b"]["stockStatus"], seen["b"]["uninterruptablePrice"]) == (None, None)
    query = (
        "{ dataCenters { id name location storageSupport listed gpuAvailability { available stockStatus gpuTypeId } } }"
    )
    places = {place["id"]: place for place in _data(service.graphql(query))["dataCenters"]}
    found = {gpu["gpuTypeId"]: gpu["stockStatus"] for gpu in places["EU-RO-1"]["gpuAvailability"]}
    assert found[GPU] == "Low"
    assert places["EU-SE-1"]["storageSupport"] is False
    assert _data(service.graphql('{ gpuTypes(input: {id: "nope"}) { id } }')) == {"gpuTypes": []}
