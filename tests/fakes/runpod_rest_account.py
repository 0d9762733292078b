"""REST v2: SSH keys, catalogue and network volumes (3.3, 3.4)."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from tests.fakes.runpod_bodies import SSH_KEYS, VOLUME, VOLUME_PATCH, check, place_of
from tests.fakes.runpod_core import Core
from tests.fakes.runpod_facts import COMMUNITY, CUDA_VERSIONS, PLACES, SECURE, TEMPLATES, Gpu, Place
from tests.fakes.runpod_gate import ARRIVAL
from tests.fakes.runpod_market import level
from tests.fakes.runpod_rest import account_only
from tests.fakes.runpod_settings import RefusedError
from tests.fakes.runpod_volume import Volume

_FILTERS = ("product", "count", "cloud", "countryCodes", "minCudaVersion", "cudaVersions")
_COMPLIANCE = ("GDPR", "SOC_2_TYPE_2")  # made up


class AccountRoutes:
    """Routes for what is not a pod and not a bill."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/account/ssh-keys", self._keys),
            web.put("/v2/account/ssh-keys", self._put_keys),
            web.get("/v2/catalog/gpus", self._gpus),
            web.get("/v2/catalog/gpus/{id}", self._gpu),
            web.get("/v2/catalog/datacenters", self._places),
            web.get("/v2/catalog/datacenters/{id}", self._place),
            web.get("/v2/templates", self._templates),
            web.get("/v2/network-volumes", self._volumes),
            web.post("/v2/network-volumes", self._create_volume),
            web.get("/v2/network-volumes/{id}", self._volume),
            web.patch("/v2/network-volumes/{id}", self._patch_volume),
            web.delete("/v2/network-volumes/{id}", self._delete_volume),
        ]

    async def _keys(self, request: web.Request) -> web.Response:
        account_only(request)
        return web.json_response({"keys": self._core.account.ssh_keys})

    async def _put_keys(self, request: web.Request) -> web.Response:
        """It replaces all; pods that run are not changed (3.3)."""
        account_only(request)
        self._core.account.ssh_keys = list(check(request[ARRIVAL].body, SSH_KEYS, ("keys",))["keys"])
        return await self._keys(request)

    # catalogue

    async def _gpus(self, request: web.Request) -> web.Response:
        account_only(request)
        wish = _wish(request)
        found = [self._describe(gpu, wish) for gpu in self._core.account.market.gpus.values()]
        if wish is not None and wish["countries"]:
            found = [each for each in found if "dataCenters" in each]
        return web.json_response({"gpus": found})

    async def _gpu(self, request: web.Request) -> web.Response:
        account_only(request)
        gpu = self._core.account.market.gpus.get(request.match_info["id"])
        if gpu is None:
            raise RefusedError(404, "resource not found")
        return web.json_response(self._describe(gpu, _wish(request)))

    def _describe(self, gpu: Gpu, wish: dict[str, Any] | None) -> dict[str, Any]:
        """3.4: prices are of one GPU, and 0 means that it is not offered."""
        price: dict[str, float] = {"secure": float(gpu.secure), "community": float(gpu.community)}
        if gpu.pool is not None:
            price["serverless"] = float(gpu.secure or gpu.community) * 2
        found: dict[str, Any] = {
            "id": gpu.id,
            "name": gpu.name,
            "pool": gpu.pool,
            "manufacturer": "NVIDIA",
            "memory": gpu.memory_gb,
            "secure": bool(gpu.secure),
            "community": bool(gpu.community),
            "price": price,
            "maxCount": {name: gpu.max_count if price[name] else 0 for name in ("secure", "community")},
        }
        if wish is not None:
            found |= self._availability(gpu, wish)
        return found

    def _availability(self, gpu: Gpu, wish: dict[str, Any]) -> dict[str, Any]:
        places = [p.id for p in PLACES.values() if not wish["countries"] or p.country in wish["countries"]]
        free = self._core.account.market.free_in(gpu.id, wish["cloud"], places, wish["count"])
        if not set(wish["cuda"]) & set(CUDA_VERSIONS):
            free = {}
        found: dict[str, Any] = {
            "availability": level(sum(free.values())),
            "cudaVersions": [{"version": version, "available": bool(free)} for version in wish["cuda"]],
        }
        if free:  # left out where it is nowhere to be had
            found["dataCenters"] = [{"id": p, "name": p, "availability": level(n)} for p, n in free.items()]
        return found

    async def _places(self, request: web.Request) -> web.Response:
        account_only(request)
        regions, compliance = _words(request, "regions"), _words(request, "compliance")
        found = [
            self._describe_place(place, request)
            for place in PLACES.values()
            if (not regions or place.region in regions) and set(compliance) <= set(_COMPLIANCE)
        ]
        return web.json_response({"dataCenters": found})

    async def _place(self, request: web.Request) -> web.Response:
        account_only(request)
        place = PLACES.get(request.match_info["id"])
        if place is None:
            raise RefusedError(404, "resource not found")
        return web.json_response(self._describe_place(place, request))

    def _describe_place(self, place: Place, request: web.Request) -> dict[str, Any]:
        found: dict[str, Any] = {
            "id": place.id,
            "name": place.id,
            "region": place.region,
            "globalNetwork": bool(place.volume_types),
            "networkVolumeTypes": list(place.volume_types),
            "compliance": list(_COMPLIANCE),
        }
        if "GPU_AVAILABILITY" in _words(request, "include"):
            market = self._core.account.market
            found["gpuAvailability"] = [
                {"id": gpu.id, "name": gpu.name, "availability": level(market.free(gpu.id, SECURE, place.id))}
                for gpu in market.gpus.values()
            ]
        return found

    async def _templates(self, request: web.Request) -> web.Response:
        account_only(request)
        found = [
            {"id": each.id, "name": each.id, "image": each.image, "ports": list(each.ports), "disk": each.disk_gb}
            for each in TEMPLATES.values()
        ]
        return web.json_response({"templates": found})

    # network volumes

    def _find(self, request: web.Request) -> Volume:
        volume = self._core.account.volume(request.match_info["id"])
        if volume is None:
            raise RefusedError(404, "resource not found")
        return volume

    async def _volumes(self, request: web.Request) -> web.Response:
        account_only(request)
        found = [_rest_volume(each) for each in self._core.account.volumes.values() if not each.is_deleted]
        return web.json_response({"networkVolumes": found})

    async def _create_volume(self, request: web.Request) -> web.Response:
        """3.4: the field is dataCenter; dataCenterId is a 422."""
        account_only(request)
        given = check(request[ARRIVAL].body, VOLUME, ("name", "size", "dataCenter"))
        kind = given.get("type", "STANDARD")
        volume = self._core.account.create_volume(given["name"], given["size"], place_of(given), kind, self._core.now())
        return web.json_response(_rest_volume(volume), status=201)

    async def _volume(self, request: web.Request) -> web.Response:
        account_only(request)
        return web.json_response(_rest_volume(self._find(request)))

    async def _patch_volume(self, request: web.Request) -> web.Response:
        account_only(request)
        volume, given = self._find(request), check(request[ARRIVAL].body, VOLUME_PATCH)
        if not given:
            raise RefusedError(422, "Request validation failed: the body is empty")
        self._core.account.resize_volume(volume, given.get("size", volume.size_gb), self._core.now())
        volume.name = given.get("name", volume.name)
        return web.json_response(_rest_volume(volume))

    async def _delete_volume(self, request: web.Request) -> web.Response:
        account_only(request)
        self._core.account.delete_volume(self._find(request), self._core.now())
        return web.Response(status=204)


def _rest_volume(volume: Volume) -> dict[str, Any]:
    named = {"id": volume.id, "name": volume.name, "size": volume.size_gb}
    return {**named, "dataCenter": volume.place, "type": volume.kind}


def _words(request: web.Request, name: str) -> list[str]:
    return [word for word in request.query.get(name, "").split(",") if word]


def _wish(request: web.Request) -> dict[str, Any] | None:
    """What availability is asked for; None: none is.

    Raises:
        RefusedError: 400, filters without ``include=AVAILABILITY`` (3.4), or without a product (documentation).
    """
    if "AVAILABILITY" not in _words(request, "include"):
        if used := [name for name in _FILTERS if name in request.query]:
            raise RefusedError(400, f"{', '.join(used)}: valid only with include=AVAILABILITY")
        return None
    if "product" not in request.query:
        raise RefusedError(400, "include=AVAILABILITY requires product")
    cloud, count = request.query.get("cloud", SECURE), request.query.get("count", "1")
    if cloud not in (SECURE, COMMUNITY) or not count.isdigit() or int(count) < 1:
        raise RefusedError(422, "Request validation failed: 'cloud' or 'count' is not valid")
    cuda = _words(request, "cudaVersions") or list(CUDA_VERSIONS)
    if (floor := request.query.get("minCudaVersion")) is not None:
        cuda = [each for each in cuda if float(each) >= float(floor)]
    return {"cloud": cloud, "count": int(count), "countries": _words(request, "countryCodes"), "cuda": cuda}
