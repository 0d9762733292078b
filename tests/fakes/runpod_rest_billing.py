"""REST v2: bills in buckets of an hour at the finest (3.4)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from aiohttp import web

from tests.fakes.runpod_bill import SIZES, Bucket, Meter, Rate, buckets, instant, known_until, last_buckets, rows
from tests.fakes.runpod_core import Core
from tests.fakes.runpod_rest import account_only
from tests.fakes.runpod_settings import RefusedError

_USUAL_DAYS = 30
_ZERO = Decimal(0)
_MOST_BUCKETS = 10_000


class BillingRoutes:
    """Routes for bills. ``/v2/billing/networkvolumes`` is not among them, and so a 404 (3.4)."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v2/billing", self._all),
            web.get("/v2/billing/pods", self._pods),
            web.get("/v2/billing/network-volumes", self._volumes),
            *(web.get(f"/v2/billing/{name}", self._nothing) for name in ("serverless", "clusters", "endpoints")),
        ]

    def _window(self, request: web.Request) -> tuple[list[Bucket], dict[str, Any]]:
        """The buckets that are asked for, and the query as it was understood.

        Raises:
            RefusedError: 422 for a time or size that is none, 400 for a range and lastN together.
        """
        query = request.query
        size, now = query.get("bucketSize", "day"), instant(self._core.now())
        if size not in SIZES:
            raise RefusedError(422, "Request validation failed: 'bucketSize' is not valid")
        if "lastN" in query:
            if "startTime" in query or "endTime" in query:
                raise RefusedError(400, "lastN and startTime/endTime are mutually exclusive.")
            if not query["lastN"].isdigit() or not 1 <= int(query["lastN"]) <= _MOST_BUCKETS:
                raise RefusedError(422, "Request validation failed: 'lastN' is not valid")
            found = last_buckets(now, size, int(query["lastN"]))
        else:
            end = _moment(query.get("endTime"), now)
            found = buckets(_moment(query.get("startTime"), now - timedelta(days=_USUAL_DAYS)), end, size)
        span = {"startTime": _text(found[0].start), "endTime": _text(found[-1].end)} if found else {}
        return found, {**span, "bucketSize": size}

    def _rows(self, meters: Iterable[tuple[str, Meter]], wanted: list[Bucket]) -> list[tuple[Bucket, str, Rate]]:
        until = known_until(self._core.now(), self._core.settings.billing_lag_hours)
        return list(rows(meters, wanted, until))

    async def _pods(self, request: web.Request) -> web.Response:
        account_only(request)
        wanted, query = self._window(request)
        only = request.query.get("podId")
        pods = self._core.account.pods.items()
        found = self._rows([(key, pod.meter) for key, pod in pods if only in (None, key)], wanted)
        records = [{**_span(bucket), "podId": name, **_pod_amounts(amounts)} for bucket, name, amounts in found]
        totals = _totals(records, ("totalAmount", "gpuAmount", "cpuAmount", "diskAmount"))
        extra = {"uniquePodCount": len({name for _, name, _ in found})}
        return _answer(records, {**query, "podId": only}, totals, extra)

    async def _volumes(self, request: web.Request) -> web.Response:
        account_only(request)
        wanted, query = self._window(request)
        only = request.query.get("networkVolumeId")
        volumes = self._core.account.volumes.items()
        records = []
        for bucket, name, amounts in self._rows([(k, v.meter) for k, v in volumes if only in (None, k)], wanted):
            is_standard = self._core.account.volumes[name].kind == "STANDARD"
            total = float(amounts.total)
            parts = {"standardAmount": total * is_standard, "highPerformanceAmount": total * (not is_standard)}
            records.append({**_span(bucket), "networkVolumeId": name, "totalAmount": total, **parts})
        totals = _totals(records, ("totalAmount", "standardAmount", "highPerformanceAmount"))
        extra = {"uniqueNetworkVolumeCount": len({each["networkVolumeId"] for each in records})}
        return _answer(records, {**query, "networkVolumeId": only}, totals, extra)

    async def _all(self, request: web.Request) -> web.Response:
        """The whole account, one row a bucket; its other products never cost anything here."""
        account_only(request)
        wanted, query = self._window(request)
        sums: dict[Bucket, dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(_PARTS, _ZERO))
        for bucket, _, amounts in self._rows([(k, p.meter) for k, p in self._core.account.pods.items()], wanted):
            sums[bucket]["podGpuAmount"] += amounts.gpu
            sums[bucket]["podCpuAmount"] += amounts.cpu
            sums[bucket]["podDiskAmount"] += amounts.disk
        for bucket, name, amounts in self._rows([(k, v.meter) for k, v in self._core.account.volumes.items()], wanted):
            is_standard = self._core.account.volumes[name].kind == "STANDARD"
            sums[bucket]["storageStandardAmount" if is_standard else "storageHighPerformanceAmount"] += amounts.total
        records = []
        for bucket in sorted(sums, key=lambda each: each.start):
            parts = {name: float(amount) for name, amount in sums[bucket].items()}
            records.append({**_span(bucket), "totalAmount": float(sum(sums[bucket].values())), **parts})
        return _answer(records, query, _totals(records, ("totalAmount", *_PARTS)), {})

    async def _nothing(self, request: web.Request) -> web.Response:
        account_only(request)
        return _answer([], self._window(request)[1], {"totalAmount": 0.0}, {})


_PARTS = (
    *("podGpuAmount", "podCpuAmount", "podDiskAmount"),
    *("serverlessGpuAmount", "serverlessCpuAmount", "serverlessDiskAmount", "serverlessFeeAmount"),
    *("storageStandardAmount", "storageHighPerformanceAmount", "endpointAmount"),
    *("clusterGpuAmount", "clusterDiskAmount", "clusterNetworkingAmount"),
)


def _answer(
    records: list[dict[str, Any]], query: dict[str, Any], totals: dict[str, float], extra: dict[str, Any]
) -> web.Response:
    metadata = {"query": query, "recordCount": len(records), **extra, "totals": totals}
    return web.json_response({"records": records, "metadata": metadata})


def _span(bucket: Bucket) -> dict[str, str]:
    return {"startTime": _text(bucket.start), "endTime": _text(bucket.end)}


def _pod_amounts(amounts: Rate) -> dict[str, float]:
    parts = {"gpuAmount": amounts.gpu, "cpuAmount": amounts.cpu, "diskAmount": amounts.disk}
    return {"totalAmount": float(amounts.total), **{name: float(usd) for name, usd in parts.items()}}


def _totals(records: list[dict[str, Any]], names: tuple[str, ...]) -> dict[str, float]:
    return {name: sum((each[name] for each in records), 0.0) for name in names}


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _moment(text: str | None, usual: datetime) -> datetime:
    if text is None:
        return usual
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RefusedError(422, f"Request validation failed: {text!r} is not an RFC 3339 time")
    return moment.astimezone(usual.tzinfo)
