"""Pods as the ``runpod`` package takes and tells them. Pure.

The package pastes texts into its query as they are, so every one of them is escaped here. What it tells is put into
the shape of REST v2, which ``runpod_pods`` reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from autopod_nb.errors import ProviderError
from autopod_nb.models.offer import Offer
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.runpod_catalog import cuda_key, wanted_places
from autopod_nb.providers.runpod_pods import MOUNT, amount, variables

_SSH_PORT = 22
_STATUSES = {"CREATED": "PROVISIONING", "RESTARTING": "STARTING", "PAUSED": "EXITED", "DEAD": "ERROR"}
"""Words of GraphQL that REST v2 does not have."""


def escaped(text: str) -> str:
    """A text as it stands between the quotes of a query: the inside of a JSON string."""
    return json.dumps(text)[1:-1]


def create_arguments(order: PodOrder) -> dict[str, Any]:
    """The arguments of ``create_pod``; its own choices are others than ours in cloud, mount and disk.

    Raises:
        ProviderError: it cannot be ordered so.
        NoCapacity: there is none in the region that was asked for.
    """
    offer, shape = order.offer, order.offer.shape
    if not offer.gpu_id:  # the package would rent a pod without a GPU, by another mutation
        raise ProviderError("The offer names no GPU, and a pod without one is never rented: ask for offers again.")
    if offer.spot:
        raise ProviderError("The package runpod rents no spot pods: leave --spot out, or take the provider runpod.")
    places = wanted_places(offer)
    found: dict[str, Any] = {
        "name": escaped(order.name),
        "image_name": escaped(shape.image or ""),
        "gpu_type_id": escaped(offer.gpu_id),
        "cloud_type": offer.cloud.upper() or "ALL",
        "support_public_ip": True,  # a community host may have none otherwise, and then there is no SSH but the relay
        "start_ssh": True,
        "gpu_count": offer.gpu_count,
        "volume_in_gb": shape.volume_gb,
        "container_disk_in_gb": shape.disk_gb,
        "ports": "22/tcp",
        "volume_mount_path": MOUNT,
        "env": {escaped(key): escaped(value) for key, value in variables(order).items()},
    }
    optional = {
        "template_id": shape.template and escaped(shape.template),
        "network_volume_id": shape.network_volume and escaped(shape.network_volume),
        "data_center_id": escaped(places[0]) if places else None,  # this call takes one
        "allowed_cuda_versions": _cuda_versions(offer),
    }
    return {**found, **{key: value for key, value in optional.items() if value}}


def _cuda_versions(offer: Offer) -> list[str] | None:
    """Every version that is new enough, as the package takes no oldest one."""
    if offer.cuda is None:
        return None
    oldest = cuda_key(offer.cuda)
    fitting = [each for each in offer.cuda_versions if cuda_key(each) >= oldest]
    return [escaped(each) for each in fitting or [offer.cuda]]


def as_rest(pod: object) -> dict[str, Any]:
    """A pod of ``get_pod`` in the shape of REST v2; what the package does not select is not there.

    ``uptimeSeconds`` is left out, for it stays 0, and so are the ports of a pod that is stopped, which linger.

    Raises:
        ProviderError: it is no pod object.
    """
    if not isinstance(pod, dict) or not isinstance(pod.get("id"), str) or not pod["id"]:
        raise ProviderError("RunPod told of a pod without id: its answer cannot be used.")
    status = str(pod.get("desiredStatus")).upper()
    machine, size = pod.get("machine"), _whole(pod.get("volumeInGb"))
    name = machine.get("gpuDisplayName") if isinstance(machine, dict) else None
    return {
        "id": pod["id"],
        "name": pod.get("name"),
        "status": _STATUSES.get(status, status),
        "cost": pod.get("costPerHr"),
        "disk": _whole(pod.get("containerDiskInGb")),
        "image": pod.get("imageName"),
        "mounts": {"persistent": {"size": size}} if size else {},
        "gpu": {"id": name, "count": _whole(pod.get("gpuCount"))},
        "runtime": pod.get("runtime"),
        "ssh": {"direct": _direct(pod.get("runtime"))},
        "env": _env(pod.get("env")),
        "change": " ".join(str(pod.get("lastStatusChange") or "").split()),
    }


def _whole(value: object) -> int:
    """A whole number, which may come as ``20.0``; 0 if it is none."""
    return int(amount(value))


def _direct(runtime: object) -> dict[str, Any] | None:
    """Where port 22 is reached from outside. Entries of another kind carry addresses of RunPod's own network."""
    ports = runtime.get("ports") if isinstance(runtime, dict) else None
    for each in ports if isinstance(ports, list) else ():
        if (
            isinstance(each, dict)
            and each.get("type") == "tcp"
            and each.get("isIpPublic") is True
            and each.get("privatePort") == _SSH_PORT
        ):
            return {"host": each.get("ip"), "port": each.get("publicPort"), "username": "root"}
    return None


def _env(lines: object) -> dict[str, str]:
    """Variables, which go in as pairs and come back as ``KEY=value``."""
    texts = [str(line) for line in lines] if isinstance(lines, list) else []
    return {key: value for key, is_pair, value in (text.partition("=") for text in texts) if is_pair}


def gpu_count(pod: Mapping[str, Any]) -> int:
    """How many GPUs a pod of :func:`as_rest` has; one, if that is not said."""
    return max(1, int(pod["gpu"]["count"]))
