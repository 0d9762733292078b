"""What the control page shows: a snapshot as JSON, without secrets. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from autopod_nb.log import one_line
from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.models.snapshot import JobView, PodView, Snapshot

if TYPE_CHECKING:
    from autopod_nb.session.actions import News

_GONE_SHOWN, _PODS_SHOWN = 3, 100
_OVER_SHOWN, _JOBS_SHOWN = 5, 100
_ALERTS_SHOWN = 10
_MOST_TEXT = 500  # characters of a text that comes from elsewhere
_UNCONFIRMED = (PodState.TERMINATING, PodState.STOPPING, PodState.LOST)
_ENDING = (PodState.DRAINING, PodState.STOPPING, PodState.TERMINATING)
_STILL_BILLING = "still billing until the provider confirms"


class MoneyLine(TypedDict):
    """One kind of money; kinds are never added."""

    kind: str
    per_hour: str
    spent: str
    limit: str


class PodLine(TypedDict):
    """A pod. Money is text with its kind; seconds are whole."""

    pod_id: str
    gpu: str
    count: int
    state: str
    phase: str
    kind: str
    price: str
    cost: str
    age_s: int
    job_id: str | None
    percent: float | None
    unsaved: int
    over: bool
    bills: bool
    can_end: bool
    can_stop: bool


class JobLine(TypedDict):
    """A job."""

    job_id: str
    template: str
    state: str
    percent: float | None
    cost: str
    kind: str | None
    error: str
    over: bool


class AlertLine(TypedDict):
    """A warning."""

    level: str
    title: str
    text: str


class NewsLine(TypedDict):
    """What came of a press later than its answer."""

    number: int
    text: str
    bad: bool


class ControlState(TypedDict):
    """All that the page shows."""

    instance: str
    number: int
    closed: bool
    reaper: bool | None
    money: list[MoneyLine]
    pods: list[PodLine]
    more_pods: int
    jobs: list[JobLine]
    more_jobs: int
    alerts: list[AlertLine]
    news: list[NewsLine]


def state_json(
    snapshot: Snapshot,
    *,
    closed: bool,
    instance: str = "",
    no_end: str = "",
    news: Sequence[News] = (),
) -> str:
    """A snapshot for the control page.

    Args:
        snapshot: the newest.
        closed: whether its session has ended.
        instance: names this kernel's server.
        no_end: why no pod can be ended, empty if they can.
        news: what came of presses later than their answers.
    """
    pods, jobs = _pods_shown(snapshot.pods.values()), _jobs_shown(snapshot.jobs.values())
    state: ControlState = {
        "instance": instance,
        "number": snapshot.number,
        "closed": closed,
        "reaper": snapshot.reaper,
        "money": [_money(kind, snapshot) for kind in _kinds(snapshot)],
        "pods": [_pod(pod, snapshot.jobs.get(pod.job_id or ""), no_end) for pod in pods],
        "more_pods": len(snapshot.pods) - len(pods),
        "jobs": [_job(job) for job in jobs],
        "more_jobs": len(snapshot.jobs) - len(jobs),
        "alerts": [
            {"level": alert.level.value, "title": alert.kind.title, "text": _plain(alert.text)}
            for alert in snapshot.alerts[:_ALERTS_SHOWN]
        ],
        "news": [{"number": each.number, "text": _plain(each.text), "bad": each.bad} for each in news],
    }
    return json.dumps(state, allow_nan=False)


def _plain(text: str) -> str:
    """A text from anywhere on one line, without secrets, control characters and direction marks."""
    return one_line(text)[:_MOST_TEXT]


def _kinds(snapshot: Snapshot) -> list[MoneyKind]:
    there = {*snapshot.cost_usd, *(pod.kind for pod in snapshot.pods.values())}
    return [kind for kind in MoneyKind if kind in there]


def _money(kind: MoneyKind, snapshot: Snapshot) -> MoneyLine:
    limit = snapshot.limit_usd
    return {
        "kind": kind.value,
        "per_hour": _price(snapshot.price_per_hour_usd.get(kind, Decimal(0)), kind),
        "spent": show_usd(snapshot.cost_usd.get(kind, Decimal(0)), kind),
        "limit": "no limit" if limit is None else f"limit ${limit:.2f}",
    }


def _price(usd_per_hour: Decimal, kind: MoneyKind) -> str:
    text = f"${usd_per_hour:.2f} an hour"
    return text if kind is MoneyKind.REAL else f"{text} simulated"


def _pods_shown(pods: Iterable[PodView]) -> list[PodView]:
    """Those that are there, newest last, and the last few of those that are gone."""
    found = list(pods)
    there = [pod for pod in found if not pod.over][-_PODS_SHOWN:]
    gone = [pod for pod in found if pod.over][-_GONE_SHOWN:]
    return there + gone


def _pod(pod: PodView, job: JobView | None, no_end: str) -> PodLine:
    return {
        "pod_id": pod.pod_id,
        "gpu": _plain(pod.gpu_type),
        "count": pod.gpu_count,
        "state": _pod_state(pod),
        "phase": _plain(pod.phase),
        "kind": pod.kind.value,
        "price": _price(pod.price_per_hour_usd, pod.kind),
        "cost": show_usd(pod.cost_usd, pod.kind),
        "age_s": int(pod.age_s),
        "job_id": pod.job_id,
        "percent": None if job is None else _percent(job),
        "unsaved": pod.unsaved,
        "over": pod.over,
        "bills": may_bill(pod.state),
        "can_end": not (no_end or pod.over or pod.state is PodState.TERMINATING),
        "can_stop": not (no_end or pod.over or pod.state in _ENDING),
    }


def _pod_state(pod: PodView) -> str:
    """The state in words; only what the provider has confirmed is said to have ended."""
    text = f"{pod.state.value}, {_STILL_BILLING}" if pod.state in _UNCONFIRMED else pod.state.value
    if pod.state is PodState.STOPPED:
        text = "stopped, its volume bills"
    return f"{text} ({_plain(pod.error)})" if pod.error else text


def _jobs_shown(jobs: Iterable[JobView]) -> list[JobView]:
    """Those to come in their order, and the last few of those that are over."""
    found = list(jobs)
    waiting = [job for job in found if not job.over][:_JOBS_SHOWN]
    return waiting + [job for job in found if job.over][-_OVER_SHOWN:]


def _job(job: JobView) -> JobLine:
    return {
        "job_id": job.job_id,
        "template": _plain(job.template),
        "state": job.state.value,
        "percent": _percent(job),
        "cost": "nothing yet" if job.kind is None else show_usd(job.cost_usd, job.kind),
        "kind": None if job.kind is None else job.kind.value,
        "error": _plain(job.error or job.warning),
        "over": job.over,
    }


def _percent(job: JobView) -> float | None:
    """0 to 100; None if nothing is known, or if a pod sent what is no percentage."""
    percent = job.progress.percent
    return round(percent, 1) if percent is not None and 0 <= percent <= 100 else None
