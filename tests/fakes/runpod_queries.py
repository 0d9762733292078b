"""Queries of GraphQL, and the mutations of what is not a pod (2.1, 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLError

from tests.fakes.runpod_bill import instant, last_buckets, rfc3339
from tests.fakes.runpod_core import Arrival, Core
from tests.fakes.runpod_facts import COMMUNITY, PLACES, SECURE, Gpu, Place
from tests.fakes.runpod_faults import Stage
from tests.fakes.runpod_look import graphql_pod
from tests.fakes.runpod_market import level
from tests.fakes.runpod_settings import RefusedError
from tests.fakes.runpod_volume import Volume

Resolver = Callable[..., Any]
_DAYS = 30
_CUDA_CORES = 16384  # made up


def unauthorized() -> GraphQLError:
    return GraphQLError("Unauthorized", extensions={"code": "UNAUTHENTICATED"})


class Queries:
    """What one request may ask; made anew for each."""

    def __init__(self, core: Core, arrival: Arrival) -> None:
        self._core = core
        self._arrival = arrival
        self._now = core.now()
        self._routes = (arrival.route, *arrival.operations)

    def fields(self) -> dict[str, Resolver]:
        return {
            "myself": lambda _info: self._myself(),
            "pod": lambda _info, **given: self._pod(given),
            "gpuTypes": lambda _info, **given: self._gpu_types(given),
            "dataCenters": lambda _info: self._places(),
            "updateUserSettings": lambda _info, **given: self._update(given),
            "createNetworkVolume": lambda _info, **given: self._create_volume(given["input"]),
            "updateNetworkVolume": lambda _info, **given: self._update_volume(given["input"]),
            "deleteNetworkVolume": lambda _info, **given: self._delete_volume(given["input"]),
        }

    def _account_only(self) -> None:
        """2.1, 4.6: refused to the key inside a pod."""
        if self._arrival.who != "account":
            raise unauthorized()

    def _pod(self, given: dict[str, Any]) -> dict[str, Any] | None:
        pod_id = (given.get("input") or {}).get("podId") or ""
        may_read = self._arrival.who == pod_id and self._core.settings.pod_key_rights != "none"
        if self._arrival.who != "account" and not may_read:
            raise unauthorized()
        pod = self._core.account.find(pod_id, self._now)
        return None if pod is None else graphql_pod(self._core.look(pod, self._routes))

    def _pods(self) -> list[dict[str, Any]]:
        shown = self._core.account.listed(self._now)
        faults = {f.fault: f for f in self._core.faults.take_all(Stage.LIST, self._routes, [p.id for p in shown])}
        if "list_empty" in faults:
            return []
        if (omits := faults.get("list_omits")) is not None and shown:
            shown = [pod for pod in shown if pod.id != (omits.pod or shown[0].id)]
        return [graphql_pod(self._core.look(pod, self._routes)) for pod in shown]

    def _myself(self) -> dict[str, Any]:
        self._account_only()
        account = self._core.account
        balance = float(account.balance(self._now))
        return {
            "id": account.id,
            "email": "somebody@example.com",
            "pubKey": "\n\n".join(account.ssh_keys),
            "clientBalance": balance,
            "currentSpendPerHr": float(account.spend_per_hour),
            "spendLimit": int(self._core.settings.spend_limit_usd),
            "underBalance": balance <= 0,
            "minBalance": 0.0,
            "spendDetails": lambda _info: self._spend(),
            "pods": lambda _info: self._pods(),
            "networkVolumes": lambda _info: [_volume(v) for v in account.volumes.values() if not v.is_deleted],
            "datacenters": lambda _info: self._places(),
            "dailyCharges": lambda _info: self._daily(),
            "billing": lambda _info, **_given: self._billing(),
        }

    def _spend(self) -> dict[str, float]:
        pods, volumes = self._core.account.pods.values(), self._core.account.volumes.values()
        running = [pod for pod in pods if pod.intent.value == "RUNNING"]
        compute = sum((pod.compute_usd for pod in running), start=running[0].compute_usd * 0 if running else 0)
        storage = sum(float(pod.meter.rate_usd) for pod in pods) - float(compute)
        network = sum(float(volume.meter.rate_usd) for volume in volumes)
        return {"localStoragePerHour": storage, "networkStoragePerHour": network, "gpuComputePerHour": float(compute)}

    def _daily(self) -> list[dict[str, Any]]:
        found = []
        for bucket in last_buckets(instant(self._now), "day", _DAYS):
            span = (bucket.start.timestamp(), min(bucket.end.timestamp(), self._now))
            amounts = [pod.meter.amounts(*span) for pod in self._core.account.pods.values()]
            disk, compute = sum(float(a.disk) for a in amounts), sum(float(a.gpu + a.cpu) for a in amounts)
            if disk or compute:
                day = rfc3339(bucket.start.timestamp())
                found.append({"amount": disk + compute, "updatedAt": day, "diskCharges": disk, "podCharges": compute})
        return found

    def _billing(self) -> dict[str, Any]:
        gpu = []
        summary = [
            {"time": day["updatedAt"], "gpuCloudAmount": day["amount"], "storageAmount": 0.0} for day in self._daily()
        ]
        for pod in self._core.account.pods.values():
            amount, span = float(pod.meter.usd(self._now)), (pod.ended_at or self._now) - pod.created_at
            row = {"gpuTypeId": pod.gpu_id, "time": rfc3339(pod.created_at), "timeBilledSeconds": int(span)}
            gpu.append({**row, "amount": amount})
        storage = [
            {"time": rfc3339(self._now), "amount": float(volume.meter.usd(self._now))}
            for volume in self._core.account.volumes.values()
        ]
        return {"gpuCloud": gpu, "storage": storage, "summary": summary}

    # catalogue

    def _gpu_types(self, given: dict[str, Any]) -> list[dict[str, Any]]:
        """7.2: an empty list for an id that does not exist."""
        wish = given.get("input") or {}
        ids = ([wish["id"]] if wish.get("id") else wish.get("ids")) or None
        return [self._gpu(gpu) for gpu in self._core.account.market.gpus.values() if ids is None or gpu.id in ids]

    def _gpu(self, gpu: Gpu) -> dict[str, Any]:
        return {
            "id": gpu.id,
            "displayName": gpu.name,
            "memoryInGb": gpu.memory_gb,
            "manufacturer": "Nvidia",
            "cudaCores": _CUDA_CORES,
            "secureCloud": bool(gpu.secure),
            "communityCloud": bool(gpu.community),
            "securePrice": float(gpu.secure),
            "communityPrice": float(gpu.community),
            "secureSpotPrice": float(gpu.secure / 2),
            "communitySpotPrice": float(gpu.community / 2),
            "maxGpuCount": gpu.max_count,
            "lowestPrice": lambda _info, **given: self._lowest(gpu, given.get("input") or {}),
        }

    def _lowest(self, gpu: Gpu, wish: dict[str, Any]) -> dict[str, Any]:
        """2.1: over the clouds and places that the wish leaves; nothing where nothing is free."""
        count = wish.get("gpuCount") or 1
        clouds = {None: (SECURE, COMMUNITY), True: (SECURE,), False: (COMMUNITY,)}[wish.get("secureCloud")]
        places = [
            place.id
            for place in PLACES.values()
            if wish.get("dataCenterId") in (None, place.id) and wish.get("countryCode") in (None, place.country)
        ]
        market = self._core.account.market
        free = {cloud: sum(market.free_in(gpu.id, cloud, places, count).values()) for cloud in clouds}
        prices = [gpu.price(cloud) for cloud in clouds if free[cloud]]
        stock = {"NONE": None}.get(level(sum(free.values())), level(sum(free.values())).capitalize())
        return {
            "minimumBidPrice": float(min(prices) / 2) if prices else None,
            "uninterruptablePrice": float(min(prices)) if prices else None,
            "stockStatus": stock,
            "minMemory": 48,
            "minVcpu": 8,
            "rentedCount": sum(market.taken.values()),
            "totalCount": sum(free.values()),
            "maxUnreservedGpuCount": min(gpu.max_count, sum(free.values())),
            "availableGpuCounts": list(range(1, gpu.max_count + 1)) if prices else [],
            "countryCode": wish.get("countryCode"),
            "supportPublicIp": True,
        }

    def _places(self) -> list[dict[str, Any]]:
        return [self._place(place) for place in PLACES.values()]

    def _place(self, place: Place) -> dict[str, Any]:
        market = self._core.account.market

        def availability(_info: Any) -> list[dict[str, Any]]:
            found = []
            for gpu in market.gpus.values():
                count = market.free(gpu.id, SECURE, place.id)
                status = level(count).capitalize() if count else None
                row = {"available": count > 0, "stockStatus": status, "gpuTypeId": gpu.id}
                found.append({**row, "displayName": gpu.name})
            return found

        described = {"id": place.id, "name": place.id, "location": place.country, "listed": True}
        return {**described, "storageSupport": bool(place.volume_types), "gpuAvailability": availability}

    # what is not a pod

    def _update(self, given: dict[str, Any]) -> dict[str, Any]:
        """2.2: all keys at once, newline separated; it replaces."""
        self._account_only()
        text = (given.get("input") or {}).get("pubKey") or ""
        self._core.account.ssh_keys = [line.strip() for line in text.splitlines() if line.strip()]
        return self._myself()

    def _create_volume(self, wish: dict[str, Any]) -> dict[str, Any]:
        self._account_only()
        place = PLACES.get(wish["dataCenterId"])
        if place is None or not place.volume_types:
            raise GraphQLError("Network volumes are not available in this data center", extensions={"code": "RUNPOD"})
        account = self._core.account
        return _volume(account.create_volume(wish["name"], wish["size"], place.id, "STANDARD", self._now))

    def _find(self, wish: dict[str, Any], message: str) -> Volume:
        self._account_only()
        volume = self._core.account.volume(wish["id"])
        if volume is None:
            raise GraphQLError(message, extensions={"code": "RUNPOD"})
        return volume

    def _update_volume(self, wish: dict[str, Any]) -> dict[str, Any]:
        volume = self._find(wish, "Network volume not found")
        try:
            self._core.account.resize_volume(volume, wish.get("size") or volume.size_gb, self._now)
        except RefusedError as error:
            raise GraphQLError(error.message, extensions={"code": error.code}) from error
        volume.name = wish.get("name") or volume.name
        return _volume(volume)

    def _delete_volume(self, wish: dict[str, Any]) -> None:
        self._core.account.delete_volume(self._find(wish, "Tried to delete nonexistent network volume"), self._now)


def _volume(volume: Volume) -> dict[str, Any]:
    return {"id": volume.id, "name": volume.name, "size": volume.size_gb, "dataCenterId": volume.place}
