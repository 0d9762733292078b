"""The control door: what only a test may see and do. It listens on a port of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from aiohttp import web

from tests.fakes.runpod_bill import Segment, rfc3339
from tests.fakes.runpod_core import Core
from tests.fakes.runpod_pod import Intent, Order, Pod
from tests.fakes.runpod_volume import Volume


class Control:
    """Routes below ``/control``. Every change answers with what it led to; a bad one is a 400 that says why."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/control/arm", self._arm),
            web.post("/control/disarm", self._disarm),
            web.get("/control/faults", self._faults),
            web.post("/control/reset", self._reset),
            web.post("/control/set", self._set),
            web.get("/control/settings", self._settings),
            web.post("/control/stock", self._stock),
            web.post("/control/price", self._price),
            web.post("/control/balance", self._balance),
            web.post("/control/evict", self._evict),
            web.post("/control/rows", self._rows),
            web.get("/control/bill", self._bill),
            web.get("/control/pods", self._pods),
            web.get("/control/requests", self._requests),
        ]

    async def _arm(self, request: web.Request) -> web.Response:
        self._core.faults.arm(await request.json())
        return await self._faults(request)

    async def _disarm(self, request: web.Request) -> web.Response:
        self._core.faults.armed.clear()
        return await self._faults(request)

    async def _faults(self, _request: web.Request) -> web.Response:
        return web.json_response([asdict(each) for each in self._core.faults.armed])

    async def _reset(self, request: web.Request) -> web.Response:
        self._core.reset()
        return await self._settings(request)

    async def _set(self, request: web.Request) -> web.Response:
        self._core.settle()  # what was due happens by the settings of then
        self._core.settings.change(await request.json())
        return await self._settings(request)

    async def _settings(self, _request: web.Request) -> web.Response:
        return web.json_response(asdict(self._core.settings))

    async def _stock(self, request: web.Request) -> web.Response:
        self._core.account.market.set_stock(**await request.json())
        return web.json_response({})

    async def _price(self, request: web.Request) -> web.Response:
        self._core.account.market.set_price(**await request.json())
        return web.json_response({})

    async def _balance(self, request: web.Request) -> web.Response:
        now = self._core.settle()
        if (usd := (await request.json()).get("usd")) is not None:
            self._core.account.set_balance(Decimal(usd), now)
            self._core.settle()
        return web.json_response({"usd": str(self._core.account.balance(now))})

    async def _evict(self, request: web.Request) -> web.Response:
        now, pod_id = self._core.settle(), (await request.json())["pod"]
        self._core.account.evict(self._core.account.pods[pod_id], now)
        self._core.settle()
        return web.json_response(self._pod(self._core.account.pods[pod_id]))

    async def _rows(self, request: web.Request) -> web.Response:
        """Pods that are only rows in lists: no program, and as many as are wanted."""
        wish = await request.json()
        now = self._core.settle()
        order = Order(name="", image="runpod/comfyui", gpu_ids=("row",), gpu_count=1, ports=("22/tcp",))
        made = []
        for number in range(wish["count"]):
            named = replace(order, name=f"{wish.get('name', 'row')}-{number}")
            made.append(self._core.account.add_row(named, now).id)
        return web.json_response(made)

    async def _bill(self, _request: web.Request) -> web.Response:
        """Exact, without lag: what each pod and volume has cost, in which stretches, and when that ended."""
        now = self._core.settle()
        account = self._core.account
        pods = [{**self._pod(pod), **_costs(pod, now)} for pod in account.pods.values()]
        volumes = [{"id": each.id, "name": each.name, **_costs(each, now)} for each in account.volumes.values()]
        spent = {"total_usd": str(account.spent(now)), "balance_usd": str(account.balance(now))}
        return web.json_response({"now": now, "pods": pods, "volumes": volumes, **spent})

    async def _pods(self, _request: web.Request) -> web.Response:
        self._core.settle()
        return web.json_response([self._pod(pod) for pod in self._core.account.pods.values()])

    def _pod(self, pod: Pod) -> dict[str, Any]:
        return {
            "id": pod.id,
            "name": pod.order.name,
            "intent": pod.intent.value,
            "status": pod.status(self._core.now(), self._core.settings.provision_s),
            "change": pod.change,
            "boot": pod.boot,
            "created_at": pod.created_at,
            "ended_at": pod.ended_at,
            "key": pod.key,
            "port": pod.public_port,
            "host_key_sha256": pod.host_key,
            "folder": str(self._core.yard.folder(pod)),
            "quirks": sorted(pod.quirks),
            "is_gone": pod.intent is Intent.TERMINATED,
        }

    async def _requests(self, _request: web.Request) -> web.Response:
        """Every request, and how many there were by route and by GraphQL operation."""
        arrivals = self._core.arrivals
        counts = Counter(each.route for each in arrivals)
        counts.update(name for each in arrivals for name in each.operations)
        return web.json_response({"requests": [asdict(each) for each in arrivals], "counts": counts})


def _costs(thing: Pod | Volume, now: float) -> dict[str, Any]:
    meter = thing.meter
    segments = [_segment(each, now) for each in meter.segments]
    return {"segments": segments, "total_usd": str(meter.usd(now)), "billing_ended_at": meter.ended_at}


def _segment(segment: Segment, now: float) -> dict[str, Any]:
    ends = {"start": segment.start, "end": segment.end, "started": rfc3339(segment.start)}
    rate = segment.rate
    parts = {"gpu": str(rate.gpu), "cpu": str(rate.cpu), "disk": str(rate.disk)}
    return {**ends, "kind": segment.kind, "usd_per_hour": parts, "usd": str(segment.usd(now))}


@web.middleware
async def explain(request: web.Request, handler: Any) -> web.StreamResponse:
    """A test's mistake is a 400 with a sentence."""
    try:
        response: web.StreamResponse = await handler(request)
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
    return response
