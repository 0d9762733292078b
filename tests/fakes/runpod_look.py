"""What one read of a pod shows, and how both APIs write it down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.fakes.runpod_bill import rfc3339
from tests.fakes.runpod_facts import CUDA_VERSIONS, GPUS
from tests.fakes.runpod_faults import Faults, Stage
from tests.fakes.runpod_pod import ACTIONS, Intent, Pod
from tests.fakes.runpod_settings import Settings

HOST = "127.0.0.1"  # in reality a public address; everything here is on loopback
_INNER = "100.65.0.1"  # 2.3, 3.3: http ports carry an address of 100.64.0.0/10
_FIRST_INNER_PORT = 60000
_VCPUS_A_GPU, _MEMORY_GB_A_GPU = 8, 48  # made up


@dataclass(frozen=True, slots=True)
class Look:
    """A pod as one read shows it.

    Attributes:
        uptime_s: seconds that its container runs; None: runtime is null.
        port: where port 22 is reached, None while it is not.
    """

    pod: Pod
    status: str
    uptime_s: int | None
    port: int | None
    cost_usd: Decimal
    skew_s: float


def look(pod: Pod, now: float, settings: Settings, faults: Faults, routes: Iterable[str] | None) -> Look:
    """Look at a pod. *routes* say which read this is, as reads may be faulty; None: the answer to a change."""
    struck = {f.fault for f in faults.take_all(Stage.READ, routes, [pod.id])} if routes is not None else set()
    status = pod.status(now, settings.provision_s)
    if "flapping_status" in struck and status == "RUNNING":
        status = "EXITED"
    is_stale = pod.intent is Intent.EXITED and now < (pod.ended_at or 0) + settings.stale_runtime_s
    has_runtime = (pod.is_up(now) or is_stale) and "runtime_null" not in struck
    port = pod.public_port if has_runtime and pod.is_ssh_mapped else None
    if routes is not None and port is not None and pod.old_port is not None:
        port, pod.old_port = pod.old_port, None  # 4.3: the first port that is reported may be the old one
    uptime_s = max(0, int(now - pod.started_at - pod.up_after_s)) if has_runtime else None
    is_free = status in ("EXITED", "TERMINATED") or "cost_zero" in struck  # 3.3
    return Look(pod, status, uptime_s, port, Decimal(0) if is_free else pod.compute_usd, settings.clock_skew_s)


def ports(seen: Look) -> list[dict[str, Any]]:
    """The port entries of a runtime, as GraphQL has them (2.3, 7.2)."""
    if "ports_never" in seen.pod.quirks:
        return []
    found = []
    for place, item in enumerate(seen.pod.order.ports):
        number, _, kind = item.partition("/")
        entry = {"ip": _INNER, "isIpPublic": False, "privatePort": int(number), "type": kind}
        entry["publicPort"] = _FIRST_INNER_PORT + place
        if kind == "tcp" and seen.pod.has_public_ip:
            entry |= {"ip": HOST, "isIpPublic": True}
            if number == "22" and seen.port is not None:
                entry["publicPort"] = seen.port
        found.append(entry)
    return found


def rest_pod(seen: Look) -> dict[str, Any]:
    """The pod object of REST v2 (3.3)."""
    pod, order = seen.pod, seen.pod.order
    is_started = seen.uptime_s is not None
    found: dict[str, Any] = {
        "id": pod.id,
        "name": order.name,
        "status": seen.status,
        "actions": list(ACTIONS[seen.status]),
        "image": order.image,
        "args": order.args,
        "disk": order.disk_gb,
        "mounts": _mounts(pod),
        "ports": list(order.ports),
        "env": dict(order.env),
        "registry": order.registry,
        "cloud": pod.cloud,
        "dataCenterId": pod.place,
        "cudaVersion": CUDA_VERSIONS[-1] if pod.gpu_id else None,
        "ssh": _ssh(seen),
        "template": order.template_id,
        "cost": float(seen.cost_usd),
        "locked": pod.locked,
        "runtime": _rest_runtime(seen),
        "createdAt": rfc3339(pod.created_at + seen.skew_s),
        "startedAt": rfc3339(pod.started_at + pod.up_after_s + seen.skew_s) if is_started else None,
        "globalNetworking": {"enabled": order.global_networking},
    }
    if pod.gpu_id is not None:
        size = {"vcpuCount": _VCPUS_A_GPU * order.gpu_count, "memory": _MEMORY_GB_A_GPU * order.gpu_count}
        found["gpu"] = {"id": pod.gpu_id, "count": order.gpu_count, **size}
    else:
        found["cpu"] = {"id": order.cpu_id, "vcpuCount": order.vcpus, "memory": order.vcpus * 2}
    return found


def _mounts(pod: Pod) -> dict[str, Any]:
    order = pod.order
    if order.volume_id is not None:
        return {"network": [{"volumeId": order.volume_id, "path": order.mount_path}]}
    return {"persistent": {"size": order.persistent_gb, "path": order.mount_path}} if order.persistent_gb else {}


def _ssh(seen: Look) -> dict[str, Any]:
    """3.3: direct only while it is mapped; the proxy always, and never of use for more than a shell."""
    direct = None
    if seen.port is not None and seen.status == "RUNNING":
        direct = {"host": HOST, "port": seen.port, "username": "root"}
        direct["command"] = f"ssh root@{HOST} -p {seen.port}"
    user = f"{seen.pod.id}-{hashlib.sha256(seen.pod.id.encode()).hexdigest()[:8]}"
    proxy = {"host": "ssh.runpod.io", "port": 22, "username": user, "command": f"ssh {user}@ssh.runpod.io"}
    return {"proxy": proxy, "direct": direct}


def _rest_runtime(seen: Look) -> dict[str, Any] | None:
    if seen.uptime_s is None:
        return None
    entries = [
        {"private": each["privatePort"], "public": each["publicPort"], "type": each["type"], "ip": each["ip"]}
        for each in ports(seen)
    ]
    gpus = [{"util": 0, "memoryUtil": 0}] * seen.pod.order.gpu_count
    return {"uptime": seen.uptime_s, "gpus": gpus, "cpu": {"util": 1}, "memory": {"util": 1}, "ports": entries}


def graphql_pod(seen: Look) -> dict[str, Any]:
    """Every field of the pod object of GraphQL (1.2, 2.3); the query selects."""
    pod, order = seen.pod, seen.pod.order
    is_running = seen.status not in ("EXITED", "TERMINATED")
    return {
        "id": pod.id,
        "name": order.name,
        "desiredStatus": "RUNNING" if is_running else seen.status,
        "lastStatusChange": f"{pod.change}: {rfc3339((pod.ended_at or pod.started_at) + seen.skew_s)}",
        "costPerHr": float(seen.cost_usd),
        "adjustedCostPerHr": float(seen.cost_usd),
        "uptimeSeconds": 0,  # 2.3: stays 0
        "imageName": order.image,
        "dockerArgs": order.args,
        "dockerId": None,
        "env": [f"{key}={value}" for key, value in order.env.items()],
        "gpuCount": order.gpu_count,
        "vcpuCount": _VCPUS_A_GPU * order.gpu_count or order.vcpus,
        "memoryInGb": _MEMORY_GB_A_GPU * order.gpu_count or order.vcpus * 2,
        "containerDiskInGb": order.disk_gb,
        "volumeInGb": order.persistent_gb,
        "volumeMountPath": order.mount_path,
        "networkVolumeId": order.volume_id,
        "templateId": order.template_id,
        "podType": "RESERVED" if order.bid_per_gpu is None else "INTERRUPTABLE",
        "port": None,
        "ports": ",".join(order.ports),
        "locked": pod.locked,
        "createdAt": rfc3339(pod.created_at + seen.skew_s),
        "lastStartedAt": rfc3339(pod.started_at + seen.skew_s),
        "lowestBidPriceToResume": None,
        "machineId": pod.machine,
        "machine": _machine(pod),
        "runtime": _graphql_runtime(seen),
        "latestTelemetry": None,
    }


def _machine(pod: Pod) -> dict[str, Any]:
    return {
        "podHostId": f"{pod.id}-{pod.machine[:8]}",
        "gpuTypeId": pod.gpu_id,
        "gpuDisplayName": GPUS[pod.gpu_id].name if pod.gpu_id else None,
        "dataCenterId": pod.place,
        "location": pod.place.split("-")[0],
        "secureCloud": pod.cloud == "SECURE",
        "supportPublicIp": pod.has_public_ip,
        "runpodIp": HOST,
        "maintenanceStart": None,
        "maintenanceEnd": None,
        "maintenanceNote": None,
    }


def _graphql_runtime(seen: Look) -> dict[str, Any] | None:
    if seen.uptime_s is None:
        return None
    gpus = [
        {"id": f"GPU-{seen.pod.machine}-{number}", "gpuUtilPercent": 0, "memoryUtilPercent": 0}
        for number in range(seen.pod.order.gpu_count)
    ]
    container = {"cpuPercent": 1, "memoryPercent": 1}
    return {"container": container, "gpus": gpus, "ports": ports(seen), "uptimeInSeconds": seen.uptime_s}
