"""RunPod's pod objects and ours: what is sent to rent one, what an answer says. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from autopod_nb.errors import ProviderError
from autopod_nb.models.offer import PodShape
from autopod_nb.models.pod import BootPhase, ObservedState, PodAddress, PodRecord
from autopod_nb.providers.base import PodOrder
from autopod_nb.providers.runpod_catalog import short_name, wanted_places
from autopod_nb.providers.runpod_price import running_usd, stopped_usd

MOUNT = "/workspace"
"""Where the persistent mount is, as in every official image."""
ENVIRON_VARIABLE = "AUTOPOD_ENVIRON"
_ENVIRON = "/proc/1/environ"
_MOST_VARIABLES = 50
_PROXY_HOST = "ssh.runpod.io"
_STATES = {
    "PROVISIONING": ObservedState.PENDING,
    "STARTING": ObservedState.PENDING,
    "RUNNING": ObservedState.RUNNING,
    "EXITED": ObservedState.STOPPED,
    "TERMINATED": ObservedState.TERMINATED,
}


def require_pod_id(provider_id: str) -> str:
    """The id, when it can be one: others could turn a call about one pod into one about all.

    Raises:
        ProviderError: it cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", provider_id):
        raise ProviderError(f"{provider_id!r} is no id of a pod at RunPod.")
    return provider_id


def create_body(order: PodOrder) -> dict[str, Any]:
    """The order for REST v2. Only SSH is exposed; the key is the pod's own affair, never the account's.

    Raises:
        ProviderError: it cannot be ordered so.
        NoCapacity: there is none in the region that was asked for.
    """
    offer, shape = order.offer, order.offer.shape
    gpu: dict[str, Any] = {"id": offer.gpu_id, "count": offer.gpu_count}  # without a count nothing is ever found
    if offer.cuda is not None:
        gpu["minCudaVersion"] = offer.cuda
    body: dict[str, Any] = {
        "name": order.name,
        "gpu": gpu,
        "cloud": offer.cloud.upper(),  # without it the dearer one is taken
        "disk": shape.disk_gb,
        "ports": ["22/tcp"],
        "env": variables(order),
        "mounts": _mounts(shape),
        "startSsh": True,
    }
    if shape.image is not None:
        body["image"] = shape.image
    if shape.template is not None:
        body["templateId"] = shape.template
    if (places := wanted_places(offer)) is not None:
        body["dataCenterIds"] = places
    return body


def variables(order: PodOrder) -> dict[str, str]:
    """The variables of a pod; `PUBLIC_KEY` keeps RunPod from putting the account's keys there.

    Raises:
        ProviderError: RunPod takes no more than 50.
    """
    found = {**order.env, "PUBLIC_KEY": order.public_key}
    if len(found) > _MOST_VARIABLES:
        raise ProviderError(f"A pod at RunPod takes {_MOST_VARIABLES} variables, and these are {len(found)}.")
    return found


def _mounts(shape: PodShape) -> dict[str, Any]:
    if shape.network_volume is not None:
        return {"network": [{"volumeId": shape.network_volume, "path": MOUNT}]}
    return {"persistent": {"size": shape.volume_gb, "path": MOUNT}} if shape.volume_gb else {}


def pod_record(
    pod: Mapping[str, Any],
    *,
    address: PodAddress | None = None,
    detail: str = "",
) -> PodRecord:
    """A pod as RunPod tells it.

    ``cost`` is taken for that of the GPUs alone, as several people saw it, so the disks are added: where that is
    wrong, the price is too high by about a cent an hour, and limits end early instead of late.

    Args:
        pod: the object of REST v2.
        address: from :func:`direct_address`, if it may be given out.
        detail: for a person; empty for the status in RunPod's words.

    Raises:
        ProviderError: it is no pod object.
    """
    provider_id, name = pod.get("id"), pod.get("name")
    if not isinstance(provider_id, str) or not provider_id or not isinstance(name, str):
        raise ProviderError("RunPod told of a pod without id or name: its answer cannot be used.")
    state = _state(pod)
    return PodRecord(
        provider_id=provider_id,
        name=name,
        state=state,
        address=address,
        detail=detail or ("" if address is not None else _words(pod, state)),
        price_per_hour_usd=_price(pod, state),
        gpu=_gpu(pod),
        created=moment(pod.get("createdAt")),
        phase=None if address is not None else _phase(pod, state),
    )


def _phase(pod: Mapping[str, Any], state: ObservedState) -> BootPhase | None:
    """There is no difference between pulling and creating but in the platform's log, so both are the image here."""
    if state is ObservedState.PENDING and str(pod.get("status")).upper() == "PROVISIONING":
        return BootPhase.RENTED
    if state in (ObservedState.PENDING, ObservedState.RUNNING):
        return BootPhase.PULLING if pod.get("runtime") is None else BootPhase.CONTAINER
    return None


def _state(pod: Mapping[str, Any]) -> ObservedState:
    status = str(pod.get("status")).upper()
    if status == "ERROR":  # it can be started like a stopped one; as long as it costs something it counts as billing
        return ObservedState.UNKNOWN if amount(pod.get("cost")) else ObservedState.STOPPED
    return _STATES.get(status, ObservedState.UNKNOWN)


def _words(pod: Mapping[str, Any], state: ObservedState) -> str:
    if state is ObservedState.RUNNING and pod.get("runtime") is None:
        return "RunPod fetches its image or starts it"
    return str(pod.get("status", "")).lower()


def _price(pod: Mapping[str, Any], state: ObservedState) -> Decimal | None:
    """None: RunPod says 0 for a pod that runs, which means that it does not know."""
    shape = shape_of(pod)
    if state is ObservedState.STOPPED:
        return stopped_usd(shape)
    if state is ObservedState.TERMINATED:
        return Decimal(0)
    cost = amount(pod.get("cost"))
    return running_usd(cost, 1, shape) if cost else None


def shape_of(pod: Mapping[str, Any]) -> PodShape:
    """The disks of a pod object; what it does not say is not there."""
    mounts = pod.get("mounts")
    mounts = mounts if isinstance(mounts, dict) else {}
    persistent, network = mounts.get("persistent"), mounts.get("network")
    size = persistent.get("size") if isinstance(persistent, dict) else 0
    volume = network[0].get("volumeId") if isinstance(network, list) and network else None
    disk = pod.get("disk")
    return PodShape(
        image=str(pod["image"]) if pod.get("image") else None,
        template=str(pod["template"]) if isinstance(pod.get("template"), str) else None,
        disk_gb=disk if isinstance(disk, int) else 0,
        volume_gb=size if isinstance(size, int) else 0,
        network_volume=volume,
    )


def _gpu(pod: Mapping[str, Any]) -> str:
    gpu = pod.get("gpu")
    if not isinstance(gpu, dict) or not gpu.get("id"):
        return ""
    return f"{short_name(str(gpu['id']))} × {gpu.get('count', '?')}"


def direct_address(pod: Mapping[str, Any], *, comfyui_port: int, comfyui_dir: str) -> PodAddress | None:
    """Where the pod's own SSH server is; None as long as it has none. RunPod's relay is none: it carries no tunnel.

    Args:
        pod: the object of REST v2.
        comfyui_port: if it is known, else 0.
        comfyui_dir: likewise, else empty.
    """
    ssh = pod.get("ssh")
    direct = ssh.get("direct") if isinstance(ssh, dict) else None
    if str(pod.get("status")).upper() != "RUNNING" or not isinstance(direct, dict):
        return None
    host, port = direct.get("host"), direct.get("port")
    if not isinstance(host, str) or not host or host == _PROXY_HOST or not isinstance(port, int):
        return None
    env = pod.get("env")
    told = env.get(ENVIRON_VARIABLE) if isinstance(env, dict) else None
    return PodAddress(
        host=host,
        port=port,
        user=str(direct.get("username") or "root"),
        comfyui_port=comfyui_port,
        comfyui_dir=comfyui_dir,
        environ_path=str(told or _ENVIRON),
    )


def moment(text: object) -> datetime | None:
    """A time of RunPod's in UTC; None if it is none. Python 3.10 reads neither ``Z`` nor nine digits of a second."""
    if not isinstance(text, str):
        return None
    shorter = re.sub(r"(\.\d{1,6})\d*", lambda found: found.group(1).ljust(7, "0"), text.strip())
    try:
        at = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", shorter))
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def amount(value: object) -> Decimal:
    """A number of RunPod's, exact; 0 if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        return Decimal(0)
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return found if found.is_finite() else Decimal(0)
