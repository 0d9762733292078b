"""What is given to the package, and what is made of the pods that it tells."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from graphql import ObjectValueNode, StringValueNode, parse, parse_value
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.errors import NoCapacity, ProviderError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, PodShape
from autopod_nb.models.pod import ObservedState
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.runpod_pods import direct_address, pod_record
from autopod_nb.providers.runpod_sdk_pods import as_rest, create_arguments, escaped, gpu_count
from tests.providers.runpod_side import PUBLIC_KEY

_OFFER = Offer(
    provider="runpod_sdk",
    gpu_type="A40",
    gpu_count=2,
    vram_gb=48,
    price_per_hour_usd=Decimal("0.80"),
    stopped_price_per_hour_usd=Decimal("0.01"),
    kind=MoneyKind.REAL,
    gpu_id="NVIDIA A40",
    cloud="secure",
    shape=PodShape(image="runpod/comfyui:latest", disk_gb=60, volume_gb=20),
)
_POD: dict[str, Any] = {
    "id": "abc123",
    "name": "autopod-a",
    "desiredStatus": "RUNNING",
    "costPerHr": Decimal("0.8"),
    "gpuCount": 2,
    "containerDiskInGb": 60,
    "volumeInGb": Decimal("20.0"),
    "imageName": "runpod/comfyui:latest",
    "lastStatusChange": "Rented by User:  Tue Aug 25 2026",
    "env": ["PUBLIC_KEY=ssh-ed25519 AAAA tests", "EMPTY=", "EQUAL=a=b"],
    "machine": {"gpuDisplayName": "A40"},
    "runtime": {
        "ports": [
            {"ip": "100.65.0.1", "isIpPublic": False, "privatePort": 22, "publicPort": 60022, "type": "http"},
            {"ip": "100.65.0.1", "isIpPublic": False, "privatePort": 22, "publicPort": 60023, "type": "tcp"},
            {"ip": "192.0.2.7", "isIpPublic": True, "privatePort": 8188, "publicPort": 10001, "type": "tcp"},
            {"ip": "192.0.2.7", "isIpPublic": True, "privatePort": 22, "publicPort": 10002, "type": "tcp"},
        ]
    },
}


def _order(offer: Offer = _OFFER, **env: str) -> PodOrder:
    return PodOrder(name="autopod-a", offer=offer, public_key=PUBLIC_KEY, env=env)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_an_escaped_text_is_itself_again_for_who_reads_the_query(text: str) -> None:
    node = parse_value(f'{{ value: "{escaped(text)}" }}')
    assert isinstance(node, ObjectValueNode)
    (field,) = node.fields
    assert isinstance(field.value, StringValueNode)
    assert field.value.value == text


def test_no_text_can_add_a_field() -> None:
    document = parse(f'{{ a(name: "{escaped(chr(34) + ", stopAfter: " + chr(34))}") }}')
    assert "stopAfter: " in json.dumps(document.to_dict())
    assert len(document.to_dict()["definitions"][0]["selection_set"]["selections"][0]["arguments"]) == 1


def test_everything_that_the_package_would_choose_otherwise_is_given() -> None:
    assert create_arguments(_order(A="1")) == {
        "name": "autopod-a",
        "image_name": "runpod/comfyui:latest",
        "gpu_type_id": "NVIDIA A40",
        "cloud_type": "SECURE",
        "support_public_ip": True,
        "start_ssh": True,
        "gpu_count": 2,
        "volume_in_gb": 20,
        "container_disk_in_gb": 60,
        "ports": "22/tcp",
        "volume_mount_path": "/workspace",
        "env": {"A": "1", "PUBLIC_KEY": PUBLIC_KEY},
    }


def test_a_network_volume_goes_with_its_place_and_a_template_instead_of_an_image() -> None:
    shape = PodShape(template='t"1', disk_gb=60, network_volume="v1")
    found = create_arguments(_order(replace(_OFFER, shape=shape, region="EU-RO-1")))
    assert found["image_name"] == ""
    assert (found["template_id"], found["network_volume_id"], found["data_center_id"]) == ('t\\"1', "v1", "EU-RO-1")
    assert found["volume_in_gb"] == 0


def test_of_a_region_the_place_with_the_best_stock_is_taken_and_none_is_no_capacity() -> None:
    region = replace(_OFFER, region="EU", places=("EU-SE-1", "EU-RO-1"))
    assert create_arguments(_order(region))["data_center_id"] == "EU-SE-1"
    with pytest.raises(NoCapacity):
        create_arguments(_order(replace(region, places=())))


@pytest.mark.parametrize(
    ("known", "versions"), [(("13.0", "12.10", "12.8", "12.4"), ["13.0", "12.10", "12.8"]), ((), ["12.8"])]
)
def test_an_oldest_cuda_becomes_every_version_that_is_new_enough(known: tuple[str, ...], versions: list[str]) -> None:
    found = create_arguments(_order(replace(_OFFER, cuda="12.8", cuda_versions=known)))
    assert found["allowed_cuda_versions"] == versions


@pytest.mark.parametrize("offer", [replace(_OFFER, gpu_id=""), replace(_OFFER, spot=True)])
def test_a_pod_without_a_gpu_or_at_a_bid_is_not_ordered(offer: Offer) -> None:
    with pytest.raises(ProviderError):
        create_arguments(_order(offer))


def test_a_pod_is_read_with_the_one_port_that_is_public_and_ours() -> None:
    pod = as_rest(_POD)
    address = direct_address(pod, comfyui_port=8188, comfyui_dir="")
    record = pod_record(pod, address=address)
    assert address is not None
    assert (address.host, address.port, address.user) == ("192.0.2.7", 10002, "root")
    assert (record.state, record.gpu, record.name) == (ObservedState.RUNNING, "A40 × 2", "autopod-a")
    assert record.price_per_hour_usd == Decimal("0.8") + Decimal("0.010959")
    assert pod["env"] == {"PUBLIC_KEY": "ssh-ed25519 AAAA tests", "EMPTY": "", "EQUAL": "a=b"}
    assert pod["change"] == "Rented by User: Tue Aug 25 2026"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("CREATED", ObservedState.PENDING),
        ("RESTARTING", ObservedState.PENDING),
        ("RUNNING", ObservedState.RUNNING),
        ("EXITED", ObservedState.STOPPED),
        ("PAUSED", ObservedState.STOPPED),
        ("DEAD", ObservedState.UNKNOWN),  # it costs something, so it counts as billing
        ("TERMINATED", ObservedState.TERMINATED),
        ("a new word", ObservedState.UNKNOWN),
    ],
)
def test_each_word_for_a_state_is_one_of_ours(status: str, state: ObservedState) -> None:
    pod = as_rest({**_POD, "desiredStatus": status})
    assert pod_record(pod).state is state
    if state is not ObservedState.RUNNING:
        assert direct_address(pod, comfyui_port=0, comfyui_dir="") is None, "what a stopped pod shows lingers"


@pytest.mark.parametrize("change", [{"runtime": None}, {"runtime": {"ports": None}}, {"runtime": {"ports": [None]}}])
def test_a_pod_without_ports_has_no_address(change: dict[str, Any]) -> None:
    assert direct_address(as_rest({**_POD, **change}), comfyui_port=0, comfyui_dir="") is None


def test_a_pod_that_says_little_is_read_all_the_same() -> None:
    pod = as_rest({"id": "a", "name": "b"})
    assert pod_record(pod).state is ObservedState.UNKNOWN
    assert gpu_count(pod) == 1
    assert gpu_count(as_rest(_POD)) == 2


@pytest.mark.parametrize("pod", [None, "a", [], {}, {"id": ""}, {"id": 7}])
def test_what_is_no_pod_is_an_error_and_never_left_out(pod: object) -> None:
    with pytest.raises(ProviderError):
        as_rest(pod)
