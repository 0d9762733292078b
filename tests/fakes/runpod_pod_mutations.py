"""What GraphQL does to pods (2.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from graphql import GraphQLError

from tests.fakes.runpod_bodies import attach
from tests.fakes.runpod_core import Arrival, Core
from tests.fakes.runpod_facts import COMMUNITY, PLACES, SECURE, TEMPLATES
from tests.fakes.runpod_look import graphql_pod
from tests.fakes.runpod_pod import Intent, Order, Pod
from tests.fakes.runpod_queries import Resolver, unauthorized
from tests.fakes.runpod_settings import RefusedError

_CLOUDS = {"ALL": (SECURE, COMMUNITY), SECURE: (SECURE,), COMMUNITY: (COMMUNITY,)}
_USUAL_DISK_GB = 10  # 1.4
_USUAL_MOUNT = "/runpod-volume"  # 1.4


class PodMutations:
    """Mutations of one request."""

    def __init__(self, core: Core, arrival: Arrival) -> None:
        self._core = core
        self._arrival = arrival
        self._now = core.now()
        self._routes = (arrival.route, *arrival.operations)

    def fields(self) -> dict[str, Resolver]:
        return {
            "podFindAndDeployOnDemand": lambda _info, **given: self._deploy(given.get("input") or {}),
            "podRentInterruptable": lambda _info, **given: self._deploy(given["input"]),
            "deployCpuPod": lambda _info, **given: self._deploy_cpu(given["input"]),
            "podStop": lambda _info, **given: self._change(given["input"], self._stop),
            "podResume": lambda _info, **given: self._change(given["input"], self._resume),
            "podBidResume": lambda _info, **given: self._change(given["input"], self._resume),
            "podTerminate": lambda _info, **given: self._terminate(given["input"]),
            "podEditJob": lambda _info, **given: self._edit(given["input"]),
        }

    def _deploy(self, wish: dict[str, Any]) -> dict[str, Any]:
        self._account_only()
        bid = wish.get("bidPerGpu")
        gpu_ids = tuple(wish.get("gpuTypeIdList") or ([wish["gpuTypeId"]] if wish.get("gpuTypeId") else []))
        order = replace(
            self._order(wish),
            gpu_ids=gpu_ids,
            gpu_count=wish.get("gpuCount") or 1,
            clouds=_CLOUDS[wish.get("cloudType") or "ALL"],
            cuda_versions=tuple(wish["allowedCudaVersions"]) if wish.get("allowedCudaVersions") else None,
            bid_per_gpu=Decimal(str(bid)) if bid is not None else None,
        )
        return self._create(order, wish)

    def _deploy_cpu(self, wish: dict[str, Any]) -> dict[str, Any]:
        """1.4: what the SDK does without a GPU id; the instance id ends in -vCPUs-GB."""
        self._account_only()
        order = self._order({**wish, "templateId": wish.get("templateId") or "runpod-ubuntu"})
        parts = (wish.get("instanceId") or "cpu3c-2-4").split("-")
        vcpus = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 2
        return self._create(replace(order, cpu_id=parts[0], vcpus=vcpus, clouds=(SECURE,)), wish)

    def _create(self, order: Order, wish: dict[str, Any]) -> dict[str, Any]:
        try:
            if wish.get("networkVolumeId"):
                order = attach(order, wish["networkVolumeId"], order.mount_path, self._core.account)
            pod = self._core.create(order, self._routes)
        except RefusedError as error:
            raise _error(error) from error
        return graphql_pod(self._core.look(pod))

    def _order(self, wish: dict[str, Any]) -> Order:
        for timer in ("stopAfter", "terminateAfter"):
            _check_instant(wish.get(timer))
        template = TEMPLATES.get(wish.get("templateId") or "")
        if template is None and wish.get("templateId"):
            raise GraphQLError("Template not found", extensions={"code": "RUNPOD"})
        image = wish.get("imageName") or (template.image if template else "")
        if not image:
            raise GraphQLError("Either imageName or templateId is needed", extensions={"code": "RUNPOD"})
        country = wish.get("countryCode")
        places = [p.id for p in PLACES.values() if p.country == country] if country else []
        disk = wish.get("containerDiskInGb") or (template.disk_gb if template else _USUAL_DISK_GB)
        return Order(
            name=wish.get("name") or image,
            image=image,
            template_id=wish.get("templateId"),
            places=(wish["dataCenterId"],) if wish.get("dataCenterId") else tuple(places),
            disk_gb=disk,
            persistent_gb=wish.get("volumeInGb") or 0,
            mount_path=wish.get("volumeMountPath") or _USUAL_MOUNT,
            ports=_ports(wish.get("ports")) or (template.ports if template else ()),
            env=_env(wish.get("env")),
            args=wish.get("dockerArgs") or "",
            registry=wish.get("containerRegistryAuthId"),
            start_ssh=bool(wish.get("startSsh")),
            public_ip=bool(wish.get("supportPublicIp")),  # 4.2: elsewhere than in the secure cloud only if asked for
        )

    def _account_only(self) -> None:
        if self._arrival.who != "account":
            raise unauthorized()

    def _pod(self, wish: dict[str, Any], missing: str = "pod not found") -> Pod:
        pod_id = wish["podId"]
        if self._arrival.who != "account" and not self._may_act(pod_id):
            raise unauthorized()
        pod = self._core.account.find(pod_id, self._now)
        if pod is None or pod.intent is Intent.TERMINATED:
            raise GraphQLError(missing, extensions={"code": "RUNPOD"})
        return pod

    def _may_act(self, pod_id: str) -> bool:
        return self._arrival.who == pod_id and self._core.settings.pod_key_rights == "own"

    def _change(self, wish: dict[str, Any], act: Callable[[Pod, dict[str, Any]], None]) -> dict[str, Any]:
        pod = self._pod(wish)
        try:
            act(pod, wish)
        except RefusedError as error:
            raise _error(error) from error
        return graphql_pod(self._core.look(pod))

    def _stop(self, pod: Pod, _wish: dict[str, Any]) -> None:
        self._core.account.stop(pod, self._now)

    def _resume(self, pod: Pod, wish: dict[str, Any]) -> None:
        """4.8: gpuCount 0 starts it with its GPUs all the same (runpod-python #371)."""
        if pod.intent is Intent.RUNNING:
            return
        if wish.get("bidPerGpu") is not None:
            pod.order = replace(pod.order, bid_per_gpu=Decimal(str(wish["bidPerGpu"])))
        self._core.start(pod, self._routes)

    def _terminate(self, wish: dict[str, Any]) -> None:
        self._core.account.terminate(self._pod(wish, "pod not found to terminate"), self._now)

    def _edit(self, wish: dict[str, Any]) -> dict[str, Any]:
        """2.2: it restarts and resets the container."""
        self._account_only()
        pod = self._pod(wish)
        order = pod.order
        pod.order = replace(
            order,
            image=wish.get("imageName") or order.image,
            args=wish["dockerArgs"] if wish.get("dockerArgs") is not None else order.args,
            env=_env(wish["env"]) if wish.get("env") is not None else order.env,
            ports=_ports(wish["ports"]) if wish.get("ports") is not None else order.ports,
            disk_gb=wish.get("containerDiskInGb") or order.disk_gb,
            persistent_gb=wish.get("volumeInGb") or order.persistent_gb,
            mount_path=wish.get("volumeMountPath") or order.mount_path,
        )
        if pod.intent is Intent.RUNNING:
            self._core.account.restart(pod, self._now)
        return graphql_pod(self._core.look(pod))


def _error(error: RefusedError) -> GraphQLError:
    return GraphQLError(error.message, extensions={"code": error.code})


def _check_instant(value: Any) -> None:
    """2.2: RFC 3339 instants, durations are rejected; and nothing acts on them."""
    if value is None:
        return
    try:
        is_instant = datetime.fromisoformat(str(value).replace("Z", "+00:00")).tzinfo is not None
    except ValueError:
        is_instant = False
    if not is_instant:
        raise GraphQLError(f"{value!r} is not a valid DateTime", extensions={"code": "BAD_USER_INPUT"})


def _ports(text: str | None) -> tuple[str, ...]:
    """4.3: a comma string."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _env(given: list[dict[str, str]] | None) -> dict[str, str]:
    """1.4: key and value objects go in; strings come back."""
    return {each["key"]: each["value"] for each in given or ()}
