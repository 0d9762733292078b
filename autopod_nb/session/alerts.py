"""What is wrong just now: pure, from the state alone, so that a warning goes by itself when its cause has gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from autopod_nb.models.job import JobState, job_is_over
from autopod_nb.models.money import show_usd
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.models.snapshot import Alert, AlertKind, Level
from autopod_nb.pods.limits import LimitLevel, seconds_left
from autopod_nb.session.fleet_view import fleet_alerts
from autopod_nb.session.guard_steps import strangers_text, unarmed_text
from autopod_nb.session.state import JobData, PodData, Rules, SessionState

_URGENCY = (
    AlertKind.STUCK,  # a GPU is paid for and may render nothing
    AlertKind.LIMIT,
    AlertKind.BOOT_LONG,
    AlertKind.NO_POD,
    AlertKind.UNSAVED,
    AlertKind.UNARMED,
    AlertKind.STRANGER,
)
_LONG_BOOT = 2  # the part of the time allowed: more than a half of it is long
_BOOTS = (PodState.PLANNED, PodState.REQUESTED, PodState.BOOTING, PodState.CONNECTING)


def alerts(state: SessionState, now_s: float) -> tuple[Alert, ...]:
    """Everything that is wrong: errors first, then by how much it costs to leave it, that of the newest pod first.

    Looks at pods and the jobs that they have, never at those that wait or are over: there may be thousands.

    Args:
        state: of the session.
        now_s: monotonic seconds.
    """
    found = [*_of_limits(state), *_of_account(state), *fleet_alerts(state)]
    for pod in reversed(tuple(state.pods.values())):
        found += _of_pod(pod, state.rules, now_s)
        for job_id in pod.active:
            found += _of_job(state.jobs[job_id], pod, state.rules, now_s)
    return tuple(sorted(found, key=lambda alert: (alert.level is not Level.ERROR, _URGENCY.index(alert.kind))))


def is_stuck(job: JobData, pod: PodData, rules: Rules, now_s: float) -> bool:
    """Whether a job that has the GPU, or should have it next, has not moved for too long."""
    renders = job.state is JobState.RUNNING
    first = job.state is JobState.SUBMITTED and pod.active[:1] == (job.job_id,)
    return (renders or first) and not seconds_left(job.progress_s, now_s, rules.stuck_minutes)


def boot_seconds(pod: PodData, now_s: float) -> float | None:
    """How long it has been booting; None if it does not boot."""
    if pod.state not in _BOOTS:
        return None
    return max(0.0, now_s - (pod.requested.s if pod.boot_since_s is None else pod.boot_since_s))


def _of_job(job: JobData, pod: PodData, rules: Rules, now_s: float) -> Iterator[Alert]:
    if job_is_over(job.state):
        return
    hourly = show_usd(pod.offer.price_per_hour_usd, pod.offer.kind)
    if is_stuck(job, pod, rules, now_s):
        text = (
            f"{job.job_id} on pod {pod.pod_id} has made no progress for {_minutes(now_s - job.progress_s)}, and the pod"
            f" costs {hourly} an hour. Wait on, open ComfyUI, `%autopod cancel {job.job_id}`, or kill the pod."
        )
        stuck = _alert(AlertKind.STUCK, Level.WARNING, text, pod, job)
        yield replace(stuck, grants_minutes=rules.stuck_minutes)
    limit = job.spec.pod_config.max_cost_usd
    if job.limit is not LimitLevel.FINE and limit is not None and job.state is not JobState.COLLECTING:
        how = "has reached 90 % of" if job.limit is LimitLevel.NEAR else "has reached"
        text = f"{job.job_id} {how} its limit of {show_usd(limit, pod.offer.kind)}, where it is ended."
        yield _alert(AlertKind.LIMIT, _level(job.limit), text, pod, job)


def _of_pod(pod: PodData, rules: Rules, now_s: float) -> Iterator[Alert]:
    if not may_bill(pod.state) and pod.state is not PodState.STOPPED:
        return
    hourly = show_usd(pod.offer.price_per_hour_usd, pod.offer.kind)
    boot_s = boot_seconds(pod, now_s)
    if boot_s is not None and boot_s > float(rules.boot_minutes) * 60 / _LONG_BOOT:
        text = (
            f"Pod {pod.pod_id} has been booting for {_minutes(boot_s)} ({pod.phase}) and may cost {hourly} an hour. It"
            f" is given up after {rules.boot_minutes} minutes; `%autopod kill {pod.pod_id}` ends it now."
        )
        yield _alert(AlertKind.BOOT_LONG, Level.WARNING, text, pod)
    if pod.limit is not LimitLevel.FINE and pod.limit_usd is not None and pod.state is not PodState.STOPPED:
        how = "has reached 90 % of" if pod.limit is LimitLevel.NEAR else "has reached"
        text = f"Pod {pod.pod_id} {how} its limit of {show_usd(pod.limit_usd, pod.offer.kind)}, where it is ended."
        yield _alert(AlertKind.LIMIT, _level(pod.limit), text, pod)
    if pod.state is PodState.STOPPED and pod.active:
        storage = show_usd(pod.offer.stopped_price_per_hour_usd, pod.offer.kind)
        text = (
            f"Pod {pod.pod_id} is stopped with the results of {', '.join(pod.active)} on it, and its volume costs"
            f" {storage} an hour. `%autopod adopt` fetches them and ends it; `%autopod kill {pod.pod_id} --yes` gives"
            " them up."
        )
        yield _alert(AlertKind.UNSAVED, Level.WARNING, text, pod)
    if pod.armed is False and rules.watchdog and pod.state is not PodState.STOPPED:
        yield _alert(AlertKind.UNARMED, Level.WARNING, unarmed_text(pod.pod_id, pod.guard), pod)


def _of_limits(state: SessionState) -> Iterator[Alert]:
    """Those of all pods of a kind of money together."""
    limits = {"session": state.limit_usd, "day": state.rules.day_limit_usd, "month": state.rules.month_limit_usd}
    for (kind, name), level in state.limits.items():
        limit = limits.get(name)
        if level is LimitLevel.FINE or limit is None:
            continue
        if level is LimitLevel.NEAR:
            text = f"The {name} has reached 90 % of its limit of {show_usd(limit, kind)}, where everything is ended."
        else:
            text = f"The {name} has reached its limit of {show_usd(limit, kind)}: everything that bills is ended."
        key = f"{AlertKind.LIMIT.value}:{name}:{kind.value}"
        yield Alert(kind=AlertKind.LIMIT, level=_level(level), text=text, key=key)


def _of_account(state: SessionState) -> Iterator[Alert]:
    if state.strangers:
        text, key = strangers_text(state.strangers), AlertKind.STRANGER.value
        yield Alert(kind=AlertKind.STRANGER, level=Level.WARNING, text=text, key=key)


def _alert(kind: AlertKind, level: Level, text: str, pod: PodData, job: JobData | None = None) -> Alert:
    job_id = None if job is None else job.job_id
    key = f"{kind.value}:pod:{pod.pod_id}" if job_id is None else f"{kind.value}:job:{job_id}"
    return Alert(kind=kind, level=level, text=text, key=key, pod_id=pod.pod_id, job_id=job_id)


def _level(limit: LimitLevel) -> Level:
    return Level.ERROR if limit is LimitLevel.REACHED else Level.WARNING


def _minutes(seconds: float) -> str:
    """Whole minutes: a text that changes each second is read out each second."""
    minutes = int(seconds // 60)
    return f"{minutes} minute{'' if minutes == 1 else 's'}"
