"""REST v2, what is not a pod: keys, catalogue, network volumes (3.3, 3.4, 4.9)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.orders import GPU, create, order
from tests.fakes.service import RunpodService

_ALL = "include=AVAILABILITY&product=POD"


def _get(service: RunpodService, path: str) -> Any:
    response = service.request("GET", path)
    assert response.status_code == 200, response.text
    return response.json()


def _volume(service: RunpodService, **changes: Any) -> Any:
    wish = {"name": "models", "size": 100, "dataCenter": "EU-RO-1", **changes}
    return service.request("POST", "/v2/network-volumes", json=wish)


def test_the_keys_of_the_account_are_replaced_all_at_once(service: RunpodService) -> None:
    path = "/v2/account/ssh-keys"
    assert _get(service, path) == {"keys": []}
    for keys in (["ssh-ed25519 AAAA a", "ssh-rsa BBBB"], ["ssh-ed25519 CCCC"]):
        assert service.request("PUT", path, json={"keys": keys}).json() == {"keys": keys}
    wrongs: list[dict[str, list[str]]] = [
        {"keys": ["no key"]},
        {"keys": ["ssh-rsa A\nssh-rsa B"]},
        {"other": []},
        {},
    ]
    for wrong in wrongs:
        assert service.request("PUT", path, json=wrong).status_code == 422
    assert _get(service, path) == {"keys": ["ssh-ed25519 CCCC"]}


def test_the_catalogue_has_ids_prices_and_zeros_for_what_is_not_offered(service: RunpodService) -> None:
    gpus = {gpu["id"]: gpu for gpu in _get(service, "/v2/catalog/gpus")["gpus"]}
    assert gpus[GPU]["price"]["community"] == 0.16
    assert gpus["NVIDIA A40"]["price"]["community"] == 0
    assert (gpus["NVIDIA A40"]["community"], gpus["NVIDIA A40"]["maxCount"]["community"]) == (False, 0)
    assert "availability" not in gpus[GPU]
    service.price(GPU, "COMMUNITY", "0.5")
    assert _get(service, f"/v2/catalog/gpus/{GPU}")["price"]["community"] == 0.5
    assert create(service)["cost"] == 0.5


def test_availability_follows_stock_and_rentals(service: RunpodService) -> None:
    path = f"/v2/catalog/gpus/{GPU}?{_ALL}&cloud=COMMUNITY"
    service.stock(0, gpu=GPU, cloud="COMMUNITY")
    assert _get(service, path)["availability"] == "NONE"
    assert "dataCenters" not in _get(service, path)
    service.stock(1, gpu=GPU, cloud="COMMUNITY", place="US-TX-3")
    assert _get(service, path)["dataCenters"] == [{"id": "US-TX-3", "name": "US-TX-3", "availability": "LOW"}]
    assert _get(service, f"{path}&count=2")["availability"] == "NONE"
    pod = create(service)
    assert pod["dataCenterId"] == "US-TX-3"
    assert _get(service, path)["availability"] == "NONE"
    assert service.request("POST", "/v2/pods", json=order()).status_code == 400
    service.request("DELETE", f"/v2/pods/{pod['id']}")
    assert _get(service, path)["availability"] == "LOW"


def test_a_stopped_pod_whose_gpu_is_taken_cannot_start(service: RunpodService) -> None:
    """4.8: it is tied to its machine."""
    service.stock(0, gpu=GPU)
    service.stock(1, gpu=GPU, cloud="COMMUNITY", place="US-TX-3")
    pod = create(service)
    action = f"/v2/pods/{pod['id']}/action"
    service.request("POST", action, json={"action": "stop"})
    create(service, "another")  # a stop has released the GPU
    refused = service.request("POST", action, json={"action": "start"})
    assert refused.status_code == 400
    assert "not enough free GPUs on the host machine" in refused.json()["detail"]


def test_countries_narrow_the_catalogue(service: RunpodService) -> None:
    found = _get(service, f"/v2/catalog/gpus?{_ALL}&countryCodes=JP&cloud=SECURE")["gpus"]
    assert {place["id"] for gpu in found for place in gpu["dataCenters"]} == {"AP-JP-1"}
    assert "NVIDIA GeForce RTX 4080" not in {gpu["id"] for gpu in found}, "not in the secure cloud at all"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?cloud=SECURE", 400),
        ("?count=1", 400),
        ("?minCudaVersion=12.8", 400),
        ("?include=AVAILABILITY", 400),
        (f"?{_ALL}&cloud=ALL", 422),
        (f"?{_ALL}&count=0", 422),
    ],
)
def test_filters_need_what_they_filter(service: RunpodService, query: str, status: int) -> None:
    """3.4."""
    assert service.request("GET", f"/v2/catalog/gpus{query}").status_code == status
    assert service.request("GET", "/v2/catalog/gpus/RTX A5000").status_code == 404


def test_cuda_floors_are_numbers(service: RunpodService) -> None:
    found = _get(service, f"/v2/catalog/gpus/{GPU}?{_ALL}&minCudaVersion=12.8")
    assert [each["version"] for each in found["cudaVersions"]] == ["12.8", "13.0"]


def test_data_centres_tell_their_region_and_whether_they_have_volumes(service: RunpodService) -> None:
    places = {each["id"]: each for each in _get(service, "/v2/catalog/datacenters")["dataCenters"]}
    assert places["US-DE-1"]["region"] == "NORTH_AMERICA", "3.4, 4.2: not guessed from the id"
    assert (places["EU-RO-1"]["networkVolumeTypes"], places["EU-SE-1"]["networkVolumeTypes"]) == (["STANDARD"], [])
    asia = _get(service, "/v2/catalog/datacenters?regions=ASIA&include=GPU_AVAILABILITY")["dataCenters"]
    assert [each["id"] for each in asia] == ["AP-JP-1"]
    assert {"id", "name", "availability"} == set(asia[0]["gpuAvailability"][0])
    assert _get(service, "/v2/catalog/datacenters/EU-RO-1")["id"] == "EU-RO-1"
    assert service.request("GET", "/v2/catalog/datacenters/eu-ro-1").status_code == 404
    assert _get(service, "/v2/templates")["templates"][0]["id"] == "cw3nka7d08"


def test_a_volume_is_made_grown_and_deleted(service: RunpodService) -> None:
    volume = _volume(service).json()
    assert volume == {**volume, "name": "models", "size": 100, "dataCenter": "EU-RO-1", "type": "STANDARD"}
    path = f"/v2/network-volumes/{volume['id']}"
    assert service.request("PATCH", path, json={"size": 200}).json()["size"] == 200
    assert service.request("PATCH", path, json={"size": 50}).status_code == 400
    assert service.request("PATCH", path, json={}).status_code == 422
    assert _get(service, path)["size"] == 200
    assert len(_get(service, "/v2/network-volumes")["networkVolumes"]) == 1
    assert service.request("DELETE", path).status_code == 204
    assert service.request("DELETE", path).status_code == 404
    assert _get(service, "/v2/network-volumes")["networkVolumes"] == []


@pytest.mark.parametrize(
    ("changes", "status"),
    [({"dataCenterId": "EU-RO-1"}, 422), ({"size": 9}, 422), ({"size": 4097}, 422), ({"dataCenter": "EU-SE-1"}, 400)],
)
def test_a_volume_that_cannot_be(service: RunpodService, changes: dict[str, object], status: int) -> None:
    assert _volume(service, **changes).status_code == status


def test_a_network_volume_binds_a_pod_to_its_place_and_the_secure_cloud(service: RunpodService) -> None:
    """4.9."""
    mounts = {"network": [{"volumeId": _volume(service).json()["id"], "path": "/workspace"}]}
    pod = create(service, cloud="SECURE", mounts=mounts)
    assert (pod["dataCenterId"], pod["mounts"]) == ("EU-RO-1", mounts)
    wrong: list[dict[str, Any]] = [
        {"cloud": "COMMUNITY", "mounts": mounts},
        {"cloud": "SECURE", "mounts": mounts, "dataCenterIds": ["US-TX-3"]},
        {"cloud": "SECURE", "mounts": {**mounts, "persistent": {"size": 10, "path": "/workspace"}}},
    ]
    for changes in wrong:
        assert service.request("POST", "/v2/pods", json=order(**changes)).status_code == 400
