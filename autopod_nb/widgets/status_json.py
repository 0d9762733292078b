"""The session as JSON, for other tools. Money is text, so that no digit is lost; pictures are left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from autopod_nb.models.fleet import FleetView
from autopod_nb.models.job import JsonValue
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.rate import Transfer
from autopod_nb.models.snapshot import Alert, JobView, Notice, PodView, Snapshot
from autopod_nb.widgets.words import clean

if TYPE_CHECKING:
    from autopod_nb.session.others import OtherPod


_NOTHING: JsonValue = {
    "pods": [],
    "jobs": [],
    "cost_usd": {},
    "limit_usd": None,
    "today_usd": {},
    "day_limit_usd": None,
    "forecast_usd": {},
    "forecast_complete": True,
    "fleet": None,
    "alerts": [],
    "notices": [],
}


def status_json(snapshot: Snapshot | None) -> str:
    """Pods, jobs, money, warnings and notices; None, when there is no session, has none of them."""
    if snapshot is None:
        return json.dumps(_NOTHING, indent=2)
    facts: JsonValue = {
        "at": snapshot.at.isoformat(),
        "pods": [_pod(pod) for pod in snapshot.pods.values()],
        "jobs": [_job(view) for view in snapshot.jobs.values()],
        "cost_usd": _sums(snapshot.cost_usd),
        "limit_usd": _amount(snapshot.limit_usd),
        "today_usd": _sums(snapshot.today_usd),
        "day_limit_usd": _amount(snapshot.day_limit_usd),
        "forecast_usd": _sums(snapshot.forecast_usd),
        "forecast_complete": snapshot.forecast_complete,
        "fleet": _fleet(snapshot.fleet),
        "alerts": [_alert(alert) for alert in snapshot.alerts],
        "notices": [_notice(notice) for notice in snapshot.notices],
        "reaper": snapshot.reaper,
    }
    return json.dumps(facts, indent=2, ensure_ascii=False)


def pods_json(snapshot: Snapshot, others: Sequence[OtherPod]) -> str:
    """Pods of this session that are not gone, and those of others; `owner` is empty for what is nobody's."""
    ours: list[JsonValue] = [_pod(pod) | {"owner": "this session"} for pod in snapshot.pods.values() if not pod.over]
    return json.dumps([*ours, *(_other(pod) for pod in others)], indent=2, ensure_ascii=False)


def jobs_json(snapshot: Snapshot | None) -> str:
    """The jobs of the session, in order of submission."""
    views = () if snapshot is None else snapshot.jobs.values()
    return json.dumps([_job(view) for view in views], indent=2, ensure_ascii=False)


def _other(pod: OtherPod) -> JsonValue:
    return {
        "pod_id": pod.pod_id,
        "provider": pod.provider,
        "gpu_type": pod.gpu_type,
        "gpu_count": pod.gpu_count,
        "state": pod.state.value,
        "money": pod.kind.value,
        "price_per_hour_usd": str(pod.price_per_hour_usd),
        "cost_usd": str(pod.cost_usd),
        "owner": clean(pod.owner),
    }


def _pod(pod: PodView) -> dict[str, JsonValue]:
    return {
        "pod_id": pod.pod_id,
        "name": pod.name,
        "provider": pod.provider,
        "gpu_type": pod.gpu_type,
        "gpu_count": pod.gpu_count,
        "state": pod.state.value,
        "phase": clean(pod.phase),
        "money": pod.kind.value,
        "price_per_hour_usd": str(pod.price_per_hour_usd),
        "cost_usd": str(pod.cost_usd),
        "local_port": pod.local_port,
        "age_s": round(pod.age_s, 3),
        "idle_left_s": None if pod.idle_left_s is None else round(pod.idle_left_s, 3),
        "job_id": pod.job_id,
        "unsaved": pod.unsaved,
        "error": clean(pod.error),
        "where": clean(pod.where),
        "watchdog_armed": pod.armed,
        "successor": pod.successor,
        "boot_s": None if pod.boot_s is None else round(pod.boot_s, 3),
        "ending": pod.ending,
        "bills": pod.bills,
        "storage_only": pod.storage_only,
    }


def _job(view: JobView) -> JsonValue:
    progress = view.progress
    return {
        "job_id": view.job_id,
        "template": view.template,
        "state": view.state.value,
        "attempt": view.attempt,
        "pod_id": view.pod_id,
        "prompt_id": view.prompt_id,
        "percent": progress.percent,
        "node": clean(progress.node_title or progress.node_id),
        "frames_done": progress.frames_done,
        "frames": progress.frames,
        "rate_per_s": progress.rate_per_s,
        "left_s": progress.left_s,
        "left_low_s": progress.left_low_s,
        "left_high_s": progress.left_high_s,
        "transfer": _transfer(view.transfer),
        "money": None if view.kind is None else view.kind.value,
        "cost_usd": str(view.cost_usd),
        "max_cost_usd": _amount(view.max_cost_usd),
        "elapsed_s": round(view.elapsed_s, 3),
        "results": [
            {"output": result.output, "path": str(result.path), "bytes": result.bytes, "sha256": result.sha256}
            for result in view.results
        ],
        "error": clean(view.error),
        "warning": clean(view.warning),
    }


def _transfer(transfer: Transfer | None) -> JsonValue:
    if transfer is None:
        return None
    return {
        "done_bytes": transfer.done,
        "size_bytes": transfer.size,
        "bytes_per_s": transfer.bytes_per_s,
        "left_s": transfer.left_s,
    }


def _fleet(fleet: FleetView | None) -> JsonValue:
    if fleet is None:
        return None
    return {
        "aim": fleet.aim,
        "max_pods": fleet.max_pods,
        "money": fleet.kind.value,
        "budget_usd": _amount(fleet.budget_usd),
        "spent_usd": str(fleet.spent_usd),
        "deadline_in_s": fleet.ends_in_s,
        "coming_usd": str(fleet.coming_usd),
        "done_in_s": fleet.done_in_s,
        "jobs_without_a_pod": fleet.stranded,
    }


def _sums(amounts: Mapping[MoneyKind, Decimal]) -> dict[str, JsonValue]:
    return {kind.value: str(amount) for kind, amount in amounts.items()}


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _alert(alert: Alert) -> JsonValue:
    return {
        "kind": alert.kind.value,
        "level": alert.level.value,
        "text": clean(alert.text),
        "pod_id": alert.pod_id,
        "job_id": alert.job_id,
    }


def _notice(notice: Notice) -> JsonValue:
    return {
        "level": notice.level.value,
        "text": clean(notice.text),
        "at": notice.at.isoformat(),
        "pod_id": notice.pod_id,
        "job_id": notice.job_id,
    }
