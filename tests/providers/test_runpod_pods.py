from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

from autopod_nb.errors import ProviderError
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, PodShape
from autopod_nb.models.pod import ObservedState
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.runpod_pods import create_body, direct_address, moment, pod_record, require_pod_id

_DIRECT = {"host": "203.0.113.7", "port": 40022, "username": "root"}
_PROXY = {"host": "ssh.runpod.io", "port": 22, "username": "p-1"}


def _pod(**other: Any) -> dict[str, Any]:
    usual = {
        "id": "p1",
        "name": "autopod-a",
        "status": "RUNNING",
        "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 2},
        "disk": 73,
        "mounts": {"persistent": {"size": 146, "path": "/workspace"}},
        "cost": Decimal("0.8"),
        "env": {"A": "b"},
        "ssh": {"direct": _DIRECT, "proxy": _PROXY},
        "runtime": {"uptime": 3},
        "createdAt": "2026-11-24T12:00:00.123456789Z",
    }
    return {**usual, **other}


def _offer(**other: Any) -> Offer:
    usual: dict[str, Any] = {
        "provider": "runpod",
        "gpu_type": "A40",
        "gpu_id": "NVIDIA A40",
        "gpu_count": 2,
        "vram_gb": 48,
        "price_per_hour_usd": Decimal(1),
        "stopped_price_per_hour_usd": Decimal("0.1"),
        "kind": MoneyKind.REAL,
        "cloud": "community",
        "shape": PodShape(image="img", disk_gb=60, volume_gb=20),
    }
    return Offer(**{**usual, **other})


@pytest.mark.parametrize(
    ("status", "cost", "state", "price"),
    [
        ("PROVISIONING", "0.8", ObservedState.PENDING, "0.83"),
        ("STARTING", "0.8", ObservedState.PENDING, "0.83"),
        ("RUNNING", "0.8", ObservedState.RUNNING, "0.83"),
        ("RUNNING", "0", ObservedState.RUNNING, None),
        ("EXITED", "0", ObservedState.STOPPED, "0.04"),
        ("TERMINATED", "0", ObservedState.TERMINATED, "0"),
        ("ERROR", "0", ObservedState.STOPPED, "0.04"),
        ("ERROR", "0.8", ObservedState.UNKNOWN, "0.83"),
        ("MIGRATING", "0.8", ObservedState.UNKNOWN, "0.83"),
    ],
)
def test_each_status_has_a_state_and_a_price_with_disks(
    status: str, cost: str, state: ObservedState, price: str | None
) -> None:
    record = pod_record(_pod(status=status, cost=Decimal(cost)))
    assert record.state is state
    assert record.price_per_hour_usd == (None if price is None else Decimal(price))
    assert (record.provider_id, record.name, record.gpu) == ("p1", "autopod-a", "RTX 4090 × 2")
    assert record.created == datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=timezone.utc)


def test_a_pod_that_runs_without_a_runtime_says_what_it_waits_for() -> None:
    assert "image" in pod_record(_pod(runtime=None)).detail


@pytest.mark.parametrize("wrong", [{"id": ""}, {"id": None}, {"name": None}])
def test_what_is_no_pod_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="cannot be used"):
        pod_record(_pod(**wrong))


def test_the_address_is_the_pods_own_ssh_server() -> None:
    address = direct_address(_pod(), comfyui_port=0, comfyui_dir="")
    assert address is not None
    assert (address.host, address.port, address.user) == ("203.0.113.7", 40022, "root")
    assert (address.comfyui_port, address.comfyui_dir, address.environ_path) == (0, "", "/proc/1/environ")


def test_a_pod_may_say_where_its_variables_are() -> None:
    address = direct_address(_pod(env={"AUTOPOD_ENVIRON": "/pod/environ"}), comfyui_port=8188, comfyui_dir="/c")
    assert address is not None
    assert (address.environ_path, address.comfyui_port, address.comfyui_dir) == ("/pod/environ", 8188, "/c")


@pytest.mark.parametrize(
    "other",
    [
        {"status": "STARTING"},
        {"status": "EXITED"},
        {"ssh": None},
        {"ssh": {"direct": None, "proxy": _PROXY}},
        {"ssh": {"direct": _PROXY, "proxy": _PROXY}},
        {"ssh": {"direct": {"host": "", "port": 1}}},
        {"ssh": {"direct": {"host": "203.0.113.7", "port": None}}},
    ],
)
def test_there_is_no_address_while_it_does_not_run_and_the_relay_is_none(other: dict[str, Any]) -> None:
    assert direct_address(_pod(**other), comfyui_port=0, comfyui_dir="") is None


@pytest.mark.parametrize("wrong", ["", ".", "..", "a/b", "a b", "a?b", "ä", "a%2e", "a\n", "x" * 101])
def test_an_id_that_could_turn_a_call_into_another_one_is_refused(wrong: str) -> None:
    with pytest.raises(ProviderError, match="no id of a pod"):
        require_pod_id(wrong)


def test_an_order_exposes_ssh_only_and_brings_its_own_key() -> None:
    body = create_body(PodOrder(name="n", offer=_offer(cuda="12.8"), public_key="ssh-ed25519 K", env={"A": 'b"c\n'}))
    assert body == {
        "name": "n",
        "image": "img",
        "gpu": {"id": "NVIDIA A40", "count": 2, "minCudaVersion": "12.8"},
        "cloud": "COMMUNITY",
        "disk": 60,
        "ports": ["22/tcp"],
        "env": {"A": 'b"c\n', "PUBLIC_KEY": "ssh-ed25519 K"},
        "mounts": {"persistent": {"size": 20, "path": "/workspace"}},
        "startSsh": True,
    }


def test_a_template_a_network_volume_and_a_place_are_ordered_by_their_ids() -> None:
    shape = PodShape(template="t1", disk_gb=60, network_volume="v1")
    body = create_body(PodOrder(name="n", offer=_offer(shape=shape, region="EU-RO-1"), public_key="k"))
    assert "image" not in body
    assert body["templateId"] == "t1"
    assert body["mounts"] == {"network": [{"volumeId": "v1", "path": "/workspace"}]}
    assert body["dataCenterIds"] == ["EU-RO-1"]


def test_more_variables_than_runpod_takes_are_refused_before_anything_is_sent() -> None:
    with pytest.raises(ProviderError, match="50 variables"):
        create_body(PodOrder(name="n", offer=_offer(), public_key="k", env={f"V{i}": "" for i in range(50)}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-24T12:00:01Z", 1.0),
        ("2026-11-24T12:00:01.5Z", 1.5),
        ("2026-11-24T14:00:01+02:00", 1.0),
        ("2026-11-24T12:00:01", 1.0),
        ("yesterday", None),
        (None, None),
    ],
)
def test_times_are_read_as_they_come(text: str | None, seconds: float | None) -> None:
    found = moment(text)
    noon = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
    assert (None if found is None else (found - noon).total_seconds()) == seconds
