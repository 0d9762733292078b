"""RunPod's bill, in hours, and one to two hours late. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from autopod_nb.errors import ProviderError
from autopod_nb.models.reconciliation import Stretch
from autopod_nb.providers.runpod_pods import amount, moment

_PARTS = ("gpuAmount", "cpuAmount", "diskAmount")
PODS = "/v2/billing/pods"
VOLUMES = "/v2/billing/network-volumes"


def billing_query(since: datetime, now: datetime) -> dict[str, str]:
    """Hours from *since* to now; RunPod snaps both outwards to whole hours."""
    return {"startTime": _rfc3339(since), "endTime": _rfc3339(max(now, since)), "bucketSize": "hour"}


def _rfc3339(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_rows(found: Mapping[str, Any], since: datetime, *, is_volume: bool) -> list[Stretch]:
    """The rows of an answer that are not over before *since*.

    Raises:
        ProviderError: it is no bill.
    """
    records = found.get("records")
    if not isinstance(records, list):
        raise ProviderError("RunPod's bill cannot be read: it has no records.")
    rows = [_row(record, is_volume=is_volume) for record in records]
    return [row for row in rows if row.end > since]


def _row(record: Any, *, is_volume: bool) -> Stretch:
    found: Mapping[str, Any] = record if isinstance(record, dict) else {}
    start, end = moment(found.get("startTime")), moment(found.get("endTime"))
    names: Iterable[str] = ("networkVolumeId", "volumeId", "id") if is_volume else ("podId", "id")
    name = next((str(found[key]) for key in names if found.get(key)), "")
    if start is None or end is None or not name:
        raise ProviderError("RunPod's bill cannot be read: a row says not what it is for, or when.")
    total = found.get("totalAmount", found.get("amount"))
    usd = amount(total) if total is not None else sum((amount(found.get(part)) for part in _PARTS), start=amount(0))
    return Stretch(provider_id=name, start=start, end=end, amount_usd=usd, is_volume=is_volume)
