"""The limits of pods, sessions, days and months (of all sessions): a warning at 90 %, the end at 100 %."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.money import MoneyKind, show_usd
from autopod_nb.models.snapshot import Level
from autopod_nb.pods.limits import LimitLevel, limit_level
from autopod_nb.session import job_steps, pod_ending, pod_steps
from autopod_nb.session.commands import StopPod
from autopod_nb.session.costs_now import day_and_month_cost, pod_cost, session_cost
from autopod_nb.session.events import SpentSeen
from autopod_nb.session.state import PodData, WhyCancel
from autopod_nb.session.step import Step

_FETCH_S = 1.0  # what is just being fetched at a limit may take that long, then the pod is stopped with it


def look(step: Step) -> None:
    """Every limit, once a second."""
    for pod in list(step.pods.values()):
        if pod.state not in pod_ending.ENDING:
            _look_at_pod(step, pod)
    for kind in {pod.offer.kind for pod in step.pods.values()}:
        session_usd = _session_usd(step, kind)
        _look_at(step, kind, "session", session_usd, step.limit_usd)
        day_usd, month_usd = day_and_month_cost(step.ledger_usd.get(kind), session_usd)
        _look_at(step, kind, "day", day_usd, step.rules.day_limit_usd)
        _look_at(step, kind, "month", month_usd, step.rules.month_limit_usd)


def spent_seen(step: Step, message: SpentSeen) -> None:
    """The ledger was read: what other sessions spent counts for the day and the month, too."""
    step.ledger_usd = message.spent


def left_usd(step: Step, pod: PodData) -> Decimal | None:
    """What this pod may cost until the first limit, if it goes on alone; None without any limit."""
    kind = pod.offer.kind
    session_usd = _session_usd(step, kind)
    day_usd, month_usd = day_and_month_cost(step.ledger_usd.get(kind), session_usd)
    sums = (
        (pod.limit_usd, pod_cost(pod, step.now.s)),
        (step.limit_usd, session_usd),
        (step.rules.day_limit_usd, day_usd),
        (step.rules.month_limit_usd, month_usd),
    )
    return min((max(Decimal(0), limit - cost) for limit, cost in sums if limit is not None), default=None)


def _session_usd(step: Step, kind: MoneyKind) -> Decimal:
    return session_cost(step.spent_usd.get(kind, Decimal(0)), step.pods.values(), kind, step.now.s)


def _look_at_pod(step: Step, pod: PodData) -> None:
    cost = pod_cost(pod, step.now.s)
    level = limit_level(cost, pod.limit_usd)
    if level is pod.limit:
        return
    pod = step.put_pod(replace(pod, limit=level))
    if level is LimitLevel.NEAR:
        text = f"Pod {pod.pod_id} has cost {show_usd(cost, pod.offer.kind)}: 90 % of its limit of {pod.limit_usd} USD."
        step.notice(Level.WARNING, text, pod_id=pod.pod_id)
    elif level is LimitLevel.REACHED:
        text = f"the limit of {pod.limit_usd} USD of pod {pod.pod_id} was reached"
        step.notice(Level.ERROR, f"{text[:1].upper()}{text[1:]}: it is ended now.", pod_id=pod.pod_id)
        _end(step, pod, text)


def _look_at(step: Step, kind: MoneyKind, name: str, cost: Decimal, limit_usd: Decimal | None) -> None:
    """One limit of all pods of a kind of money together; a pod that comes when it is reached ends at once."""
    level = limit_level(cost, limit_usd)
    if level is LimitLevel.REACHED:
        for pod in [pod for pod in step.pods.values() if pod.offer.kind is kind]:
            if pod.state not in pod_ending.ENDING and pod.ends_by_s is None:
                _end(step, pod, f"the {name}'s limit of {limit_usd} USD was reached")
    if level is step.limits.get((kind, name), LimitLevel.FINE):
        return
    step.limits[kind, name] = level
    if level is LimitLevel.NEAR:
        text = f"The {name} has cost {show_usd(cost, kind)}: 90 % of its limit of {limit_usd} USD is reached."
        step.notice(Level.WARNING, text)
    elif level is LimitLevel.REACHED:
        text = f"The {name} has reached its limit of {limit_usd} USD: everything that bills is ended now."
        step.notice(Level.ERROR, text)


def _end(step: Step, pod: PodData, text: str) -> None:
    for job in step.jobs_of(pod):
        job_steps.request_cancel(step, job, WhyCancel.LIMIT, text)
    pod_steps.stop(step, StopPod(pod_id=pod.pod_id, now=True))
    pod = step.pods[pod.pod_id]
    if pod.state not in pod_ending.ENDING:
        step.put_pod(replace(pod, ends_by_s=step.now.s + _FETCH_S))
