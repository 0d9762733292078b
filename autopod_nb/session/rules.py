"""What a tick of the clock brings: limits, idle pods, stuck jobs, retries, leases, and the meter."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.job import JobState
from autopod_nb.models.money import Purpose, show_usd
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.models.snapshot import Level
from autopod_nb.pods.limits import LimitLevel, limit_level, seconds_left
from autopod_nb.pods.meter import Activity
from autopod_nb.pods.meter import settle as settle_meter
from autopod_nb.session import books, guard_steps, job_steps, limit_rules, pod_ending, pod_steps
from autopod_nb.session.alerts import is_stuck
from autopod_nb.session.commands import KeepAlive, KeepWaiting
from autopod_nb.session.costs_now import job_cost
from autopod_nb.session.effects import LookAtGpu, PollCommands, ReadSpent
from autopod_nb.session.state import Ending, JobData, PodData, WhyCancel
from autopod_nb.session.step import Step

_CANCEL_WITHIN_S = 30.0  # a server that does not confirm a cancellation by then is not waited for; a guess
_NOW_WITHIN_S = 30.0  # the same for a pod that is to end now
_LEASE_EVERY_S = 5
_GPU_EVERY_S = 5
_SPENT_EVERY_S = 10
_SPENT_REST_S = 60  # while nothing bills: what others spend today is only shown
_WORKING = (PodState.READY, PodState.BUSY, PodState.DRAINING)
_SILENT_S = 15.0  # a socket that is gone for longer is worth a word; a guess
# whose work the pod's seconds are paid for when it has several jobs: the one that renders
_PAID_FIRST = (JobState.RUNNING, JobState.SUBMITTED, JobState.UPLOADING, JobState.COLLECTING)
_BOOTS = (PodState.REQUESTED, PodState.BOOTING, PodState.CONNECTING)


def tick(step: Step, number: int) -> None:
    """A second has passed."""
    for place, pod in enumerate(list(step.pods.values())):
        if not (may_bill(pod.state) or pod.state is PodState.STOPPED):
            continue
        if number % _LEASE_EVERY_S == 0:
            step.record(books.lease_renewed(pod, step.rules, step.now))
        # one after the other: all at the same time would keep a cell waiting
        if (number + place) % _GPU_EVERY_S == 0 and pod.state in _WORKING and pod.has_gpu_figures:
            step.emit(LookAtGpu(pod_id=pod.pod_id))
        for job in step.jobs_of(pod):
            _look_at_job(step, step.pods[pod.pod_id], job)
        _look_at_silence(step, step.pods[pod.pod_id])
        _look_at_pod(step, step.pods[pod.pod_id])
    ours = tuple(pod.pod_id for pod in step.pods.values() if may_bill(pod.state) or pod.state is PodState.STOPPED)
    if ours:
        step.emit(PollCommands(pod_ids=ours))
    if number % (_SPENT_EVERY_S if ours else _SPENT_REST_S) == 1:
        step.emit(ReadSpent(ours_usd=dict(step.spent_usd)))
    limit_rules.look(step)


def activity(step: Step, pod: PodData) -> Activity | None:
    """What the pod is paid for just now."""
    price = pod.offer.price_per_hour_usd
    if pod.state is PodState.STOPPED:
        return Activity(purpose=Purpose.STORAGE, price_per_hour_usd=pod.offer.stopped_price_per_hour_usd)
    if not may_bill(pod.state):
        return None
    if pod.state in _BOOTS or (pod.state is PodState.TERMINATING and pod.local_port is None):
        return Activity(purpose=Purpose.BOOT, price_per_hour_usd=price)
    jobs = sorted(step.jobs_of(pod), key=lambda job: _PAID_FIRST.index(job.state))
    if not jobs:
        return Activity(purpose=Purpose.IDLE, price_per_hour_usd=price)
    return Activity(purpose=Purpose.JOB, price_per_hour_usd=price, job_id=jobs[0].job_id, attempt=jobs[0].attempt)


def charge(step: Step) -> None:
    """Let every meter follow its pod."""
    for pod in list(step.pods.values()):
        meter, done = settle_meter(
            pod.meter,
            activity(step, pod),
            pod_id=pod.pod_id,
            kind=pod.offer.kind,
            now=step.now.at,
            now_s=step.now.s,
        )
        if done is not None:
            step.charge(done)
        if meter is not pod.meter:
            paid = Decimal(0) if done is None else done.amount_usd
            step.put_pod(replace(pod, meter=meter, spent_usd=pod.spent_usd + paid))


def keep_waiting(step: Step, message: KeepWaiting) -> None:
    """The person has seen that the job is stuck."""
    job = step.find_job(message.job_id)
    if job is not None:
        step.put(replace(job, progress_s=step.now.s, warning=""))


def keep_alive(step: Step, message: KeepAlive) -> None:
    """A pod that rests gets its idle minutes again; one that works has no countdown, and one that ends goes on so."""
    pod = step.pods.get(message.pod_id)
    if pod is None or pod.ending is not None or pod.state not in (PodState.READY, PodState.BUSY):
        return
    if pod.idle_since_s is not None and not pod.active:
        pod = step.put_pod(replace(pod, idle_since_s=step.now.s))
    guard_steps.beat(step, pod)


def _look_at_job(step: Step, pod: PodData, job: JobData) -> None:
    config = job.spec.pod_config
    cost = job_cost(job, pod, step.now.s)
    level = limit_level(cost, config.max_cost_usd)
    if level is not job.limit:
        job = step.put(replace(job, limit=level))
        if level is LimitLevel.NEAR and config.max_cost_usd is not None:
            text = f"{job.job_id} has cost {show_usd(cost, pod.offer.kind)}: 90 % of its limit is reached."
            step.notice(Level.WARNING, text, job_id=job.job_id)
    if level is LimitLevel.REACHED:
        text = f"its limit of {config.max_cost_usd} USD was reached; raise max_cost_usd to let it run longer"
        job_steps.request_cancel(step, job, WhyCancel.LIMIT, text)
    elif _is_out_of_time(step, job):
        text = f"it ran longer than its timeout_minutes, {config.timeout_minutes}; raise it to let it run longer"
        job_steps.request_cancel(step, job, WhyCancel.TIMEOUT, text)
    _look_at_time(step, pod, step.job(job.job_id))


def _is_out_of_time(step: Step, job: JobData) -> bool:
    minutes = job.spec.pod_config.timeout_minutes
    if minutes is None or job.taken is None or job.state is JobState.COLLECTING:
        return False
    return not seconds_left(job.taken.s, step.now.s, minutes)


def _look_at_time(step: Step, pod: PodData, job: JobData) -> None:
    """Retries that are due, cancellations that nobody confirms, jobs that do not move."""
    now_s = step.now.s
    if job.retry_s is not None and now_s >= job.retry_s and pod.state in _WORKING:
        job_steps.fetch_again(step, job)
    elif job.cancel is not None and job.state is not JobState.COLLECTING and now_s - job.cancel_s > _CANCEL_WITHIN_S:
        job_steps.end_cancelled(step, job)
    elif is_stuck(job, pod, step.rules, now_s) and not job.warning:
        cost = show_usd(job_cost(job, pod, now_s), pod.offer.kind)
        hourly = show_usd(pod.offer.price_per_hour_usd, pod.offer.kind)
        text = (
            f"{job.job_id} has made no progress for {step.rules.stuck_minutes} minutes; it has cost {cost} and costs"
            f" {hourly} an hour. Wait on, open ComfyUI, `%autopod cancel {job.job_id}`, or kill the pod."
        )
        step.put(replace(job, warning=text))
        step.notice(Level.WARNING, text, job_id=job.job_id, pod_id=pod.pod_id)


def _look_at_pod(step: Step, pod: PodData) -> None:
    if pod.ends_by_s is not None and step.now.s >= pod.ends_by_s and pod.state not in pod_ending.ENDING:
        pod_ending.end(step, replace(pod, ends_by_s=None))
    elif pod.end_retry_s is not None and step.now.s >= pod.end_retry_s:
        pod_steps.end_again(step, pod)
    elif pod.state is PodState.READY and pod.idle_since_s is not None and not pod.active:
        if not seconds_left(pod.idle_since_s, step.now.s, pod.idle_minutes):
            text = f"Pod {pod.pod_id} had nothing to do for {pod.idle_minutes} minutes and is ended."
            step.notice(Level.INFO, text, pod_id=pod.pod_id)
            pod_ending.end(step, pod)
    elif pod.state is PodState.LOST and pod.lost_since_s is not None:
        if not seconds_left(pod.lost_since_s, step.now.s, pod.idle_minutes):
            text = f"Pod {pod.pod_id} could not be reached for {pod.idle_minutes} minutes and is ended."
            step.notice(Level.ERROR, text, pod_id=pod.pod_id)
            pod_ending.end(step, replace(pod, error=text))
    elif pod.active and _fetches_in_vain(step, pod):
        text = f"Nothing could be fetched from pod {pod.pod_id} for {pod.idle_minutes} minutes while it bills."
        step.notice(Level.WARNING, text, pod_id=pod.pod_id)
        pod_ending.end(step, pod)
    elif pod.state is PodState.DRAINING and pod.ending is Ending.NOW:
        waits = [job for job in step.jobs_of(pod) if job.cancel is not None]
        if any(step.now.s - job.cancel_s > _NOW_WITHIN_S for job in waits):
            pod_ending.end(step, pod)


def _fetches_in_vain(step: Step, pod: PodData) -> bool:
    """Whether all that the GPU is paid for is results that cannot be fetched, and for long."""
    jobs = step.jobs_of(pod)
    vain = all(job.state is JobState.COLLECTING and job.retries for job in jobs)
    newest_s = max(job.progress_s for job in jobs)
    return vain and pod.state in _WORKING and not seconds_left(newest_s, step.now.s, pod.idle_minutes)


def _look_at_silence(step: Step, pod: PodData) -> None:
    """SSH stands, but ComfyUI does not answer: nothing renders there, and it bills."""
    minutes = step.rules.stuck_minutes
    if pod.silent_since_s is None or pod.state not in _WORKING or step.now.s - pod.silent_since_s < _SILENT_S:
        return
    if not seconds_left(pod.silent_since_s, step.now.s, minutes):
        text = f"ComfyUI on pod {pod.pod_id} did not answer for {minutes} minutes, so the pod is ended."
        step.notice(Level.ERROR, text, pod_id=pod.pod_id)
        pod_ending.end(step, replace(pod, error=text))
    elif not pod.silence_told:
        text = (
            f"ComfyUI on pod {pod.pod_id} does not answer, though SSH does. Unless it comes back within {minutes}"
            f" minutes the pod is ended; `%autopod kill {pod.pod_id}` ends it now."
        )
        step.notice(Level.WARNING, text, pod_id=pod.pod_id)
        step.put_pod(replace(pod, silence_told=True, phase="ComfyUI does not answer"))
