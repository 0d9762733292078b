"""What happens when a pod changes hands: pure, like all steps."""

from __future__ import annotations

from dataclasses import replace

from autopod_nb.models.job import JobState
from autopod_nb.models.money import Purpose
from autopod_nb.models.pod import PodEvent, PodState, is_over
from autopod_nb.models.snapshot import Level
from autopod_nb.pods.meter import Activity, Meter
from autopod_nb.session import books, guard_steps
from autopod_nb.session.commands import Adopt, AdoptedJob, AdoptedPod, EndForeign, EndStranger
from autopod_nb.session.effects import AdoptPod, CheckAccount, DropLine, EndForeignPod, TerminateStranger
from autopod_nb.session.events import ForeignEnded, LeaseLost, Moment, PodAdopted, PodOwned, StrangerEnded
from autopod_nb.session.state import JobData, PodData
from autopod_nb.session.step import Step
from autopod_nb.storage.leases import CommandPosted


def adopt(step: Step, message: Adopt) -> None:
    """First the lease: two processes that adopt at the same moment must not both have the pod."""
    pod = message.pod
    write = books.lease_taken_over(pod.row.pod_id, step.rules, step.now, pod.stale_before)
    step.record(write, then=PodOwned(pod=pod, jobs=message.jobs))


def owned(step: Step, message: PodOwned) -> None:
    """It is ours: it counts as lost, and as billing, until its line stands."""
    row = message.pod.row
    jobs = [_job(adopted, step.now) for adopted in message.jobs]
    is_stopped = row.state is PodState.STOPPED
    pod = step.put_pod(
        PodData(
            pod_id=row.pod_id,
            name=row.name,
            offer=message.pod.offer,
            session_id=row.session_id,
            idle_minutes=message.pod.idle_minutes,
            ends_after_batch=message.pod.ends_after_batch,
            requested=_moment(row.created.timestamp(), step.now),
            state=PodState.STOPPED if is_stopped else PodState.LOST,
            provider_id=row.provider_id,
            phase="adopting",
            active=tuple(job.job_id for job in jobs if job.state is not JobState.QUEUED),
            lost_since_s=step.now.s,
            meter=_meter(message.pod, step.now),
            spent_usd=message.pod.spent_usd,
            limit_usd=message.pod.limit_usd,
        )
    )
    for job in jobs:
        step.put(job)
        step.prompts[job.prompt_id] = job.job_id
        if job.state is JobState.QUEUED:
            step.queue = (*step.queue, job.job_id)
    step.record(books.pod_changed(pod, step.now))
    if is_stopped:
        text = f"Pod {pod.pod_id} is stopped and its volume bills: `%autopod kill {pod.pod_id}` ends it."
        step.notice(Level.WARNING, text, pod_id=pod.pod_id)
    else:
        prompts = tuple(job.prompt_id for job in jobs if job.state is not JobState.QUEUED)
        step.emit(AdoptPod(pod_id=pod.pod_id, name=pod.name, provider_id=row.provider_id, prompt_ids=prompts))


def _moment(timestamp: float, now: Moment) -> Moment:
    """A moment of the past on both clocks, as well as the wall clock can tell."""
    ago_s = max(0.0, now.at.timestamp() - timestamp)
    return Moment(now.at.fromtimestamp(timestamp, tz=now.at.tzinfo), now.s - ago_s)


def _meter(pod: AdoptedPod, now: Moment) -> Meter:
    """It was paid for all the time: the books go on where they ended."""
    since = _moment((pod.charged_until or pod.row.created).timestamp(), now)
    stopped = pod.row.state is PodState.STOPPED
    price = pod.offer.stopped_price_per_hour_usd if stopped else pod.offer.price_per_hour_usd
    purpose = Purpose.STORAGE if stopped else Purpose.IDLE
    activity = Activity(purpose=purpose, price_per_hour_usd=price)
    return Meter(activity=activity, since=since.at, since_s=since.s)


def _job(adopted: AdoptedJob, now: Moment) -> JobData:
    row = adopted.row
    waits = row.state is JobState.QUEUED
    # its owner may have posted it and died before that was written: the monitor looks, what is not there waits again
    uploading = row.state is JobState.UPLOADING
    job = JobData(
        spec=row.spec,
        template=adopted.template,
        uid=adopted.uid,
        prompt_id=row.prompt_id or adopted.uid,
        session_id=row.session_id,
        pod_wish=None,
        submitted=_moment(row.submitted.timestamp(), now),
        usual_s=adopted.usual_s,
        frame_nodes=adopted.template.frame_nodes,
        state=JobState.SUBMITTED if uploading else row.state,
        recorded=True,
        attempt=row.attempt,
        pod_id=None if waits else row.pod_id,
        taken=None if waits or row.started is None else _moment(row.started.timestamp(), now),
        posted=not (waits or uploading),
        progress_s=now.s,
        spent_usd=adopted.spent_usd,
        retry_s=now.s if row.state is JobState.COLLECTING else None,
        made=row.made,
    )
    return replace(job, track=replace(job.track, unknown=True))


def adopted(step: Step, message: PodAdopted) -> None:
    """The lines stand: the monitor finds out what became of the jobs meanwhile."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.LOST:
        pod = replace(
            pod,
            provider_id=message.provider_id,
            address=message.address,
            local_port=message.local_port,
            phase=f"ComfyUI {message.comfyui_version}",
            lost_since_s=None,
            idle_since_s=None if pod.active else step.now.s,
        )
        pod = step.move_pod(pod, PodEvent.CONTACT_BACK)
        guard_steps.arm(step, pod)
        for job in step.jobs_of(pod):
            step.put(replace(job, kind=pod.offer.kind))


def end_foreign(step: Step, message: EndForeign) -> None:
    """Ask its owner through the ledger; what is to end at once goes to the provider, too, for the owner may hang.

    Else what the pod renders just now would be lost, and an owner that hangs has no lease for long.
    """
    step.record(CommandPosted(pod_id=message.pod_id, verb=message.verb, at=step.now.at))
    if message.now:
        stop = message.verb == "stop"
        step.emit(EndForeignPod(pod_id=message.pod_id, provider_id=message.provider_id, stop=stop))
        return
    text = (
        f"The process that owns pod {message.pod_id} was asked to finish what runs there, to fetch it and to end the"
        f" pod; `%autopod kill {message.pod_id}` ends it at once."
    )
    step.notice(Level.INFO, text, pod_id=message.pod_id)


def lease_lost(step: Step, message: LeaseLost) -> None:
    """Another process owns the pod: two must not command it, so it is let go here, and nothing of it is written."""
    pod = step.pods.get(message.pod_id)
    if pod is None or is_over(pod.state):
        return
    if not message.taken:
        step.record(books.lease_taken(pod.pod_id, step.rules, step.now))
        return
    for job in step.jobs_of(pod):
        text = f"Another process took over its pod {pod.pod_id}; `%autopod history` shows how it ends."
        step.prompts.pop(job.prompt_id, None)
        step.put(replace(job, state=JobState.CANCELLED, error=text, over_s=step.now.s))
    taken = replace(pod, state=PodState.TERMINATED, phase="taken over by another process", local_port=None)
    step.put_pod(replace(taken, active=(), meter=Meter(), ending=None, replace=False))
    step.emit(DropLine(pod_id=pod.pod_id))
    step.notice(Level.WARNING, f"Pod {pod.pod_id} was taken over by another process.", pod_id=pod.pod_id)


def end_stranger(step: Step, message: EndStranger) -> None:
    """A person named it, so it is ended."""
    step.emit(TerminateStranger(provider_id=message.provider_id))


def stranger_ended(step: Step, message: StrangerEnded) -> None:
    """What the provider said to it."""
    if message.why:
        step.notice(Level.ERROR, f"Pod {message.provider_id} may still bill: {message.why}")
    else:
        step.notice(Level.INFO, f"Pod {message.provider_id}, which was not in the ledger, is gone.")
        if step.strangers:  # which of them it was, the account tells
            step.emit(CheckAccount())


def foreign_ended(step: Step, message: ForeignEnded) -> None:
    """What the provider said to it."""
    if message.why:
        step.notice(Level.ERROR, f"Pod {message.pod_id} may still bill: {message.why}", pod_id=message.pod_id)
    else:
        step.notice(Level.INFO, f"Pod {message.pod_id} of another process was ended.", pod_id=message.pod_id)
