"""What happens to a pod that is there, and how a person ends it: one function a message, by the pod table."""

from __future__ import annotations

from dataclasses import replace

from autopod_nb.models.pod import ObservedState, PodEvent, PodState
from autopod_nb.models.snapshot import Level
from autopod_nb.session import books, job_steps, pod_ending
from autopod_nb.session.commands import CloseSession, DetachPod, KillPod, ResumePod, StopPod
from autopod_nb.session.effects import (
    BootPod,
    ReopenLine,
    StopAtProvider,
    TerminateAtProvider,
)
from autopod_nb.session.events import (
    GpuSeen,
    LineBack,
    LineLost,
    PodObserved,
    PodStopped,
    PodTerminated,
    StillBilling,
)
from autopod_nb.session.hand_out import hand_out
from autopod_nb.session.state import Ending, PodData, WhyCancel
from autopod_nb.session.step import Step

_WORKING = (PodState.READY, PodState.BUSY)
_WITH_LINE = (PodState.CONNECTING, PodState.READY, PodState.BUSY, PodState.DRAINING)
_END_RETRY_S = 5.0  # a guess: often enough for the money, seldom enough for the provider


def gpu_seen(step: Step, message: GpuSeen) -> None:
    """How busy its GPUs are."""
    pod = step.pods[message.pod_id]
    step.put_pod(replace(pod, gpu_use=message.use, has_gpu_figures=message.use is not None))


def line_lost(step: Step, message: LineLost) -> None:
    """Silence counts as billing: open the line again, or learn from the provider what became of the pod."""
    pod = step.pods[message.pod_id]
    provider_id, address = pod.provider_id, pod.address
    if pod.state not in _WITH_LINE or provider_id is None or address is None:
        return
    step.notice(Level.WARNING, f"Pod {pod.pod_id}: {message.why} Reconnecting.", pod_id=pod.pod_id)
    pod = replace(pod, lost_since_s=step.now.s, phase="reconnecting")
    step.move_pod(pod, PodEvent.CONTACT_LOST)
    for job in step.jobs_of(pod):
        step.put(replace(job, track=replace(job.track, unknown=True)))
    step.emit(ReopenLine(pod_id=pod.pod_id, provider_id=provider_id, address=address))


def line_back(step: Step, message: LineBack) -> None:
    """The line stands again; the monitor finds out what happened meanwhile."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.LOST:
        idle_since_s = None if pod.active else step.now.s
        silent_since_s = None if pod.silent_since_s is None else step.now.s  # it could not answer without a line
        pod = replace(pod, lost_since_s=None, silent_since_s=silent_since_s, rest_until_s=0.0)
        pod = replace(pod, phase="connected again", idle_since_s=idle_since_s)
        pod = step.move_pod(pod, PodEvent.CONTACT_BACK)
        if pod.ending is not None:
            step.move_pod(pod, PodEvent.DRAIN)
        for job in step.jobs_of(pod):
            if job.retry_s is not None:  # what could not be fetched without a line need not wait any longer
                job_steps.fetch_again(step, replace(job, retries=0))


def comfyui_silent(step: Step, pod: PodData) -> None:
    """Its event socket is gone: mostly for a moment, sometimes because ComfyUI died."""
    if pod.silent_since_s is None:
        pod = step.put_pod(replace(pod, silent_since_s=step.now.s))
    for job in step.jobs_of(pod):
        step.put(replace(job, track=replace(job.track, unknown=True)))


def comfyui_back(step: Step, pod: PodData) -> None:
    """The socket is open again; the monitor finds out what happened meanwhile."""
    if pod.silence_told:
        step.notice(Level.INFO, f"ComfyUI on pod {pod.pod_id} answers again.", pod_id=pod.pod_id)
        pod = replace(pod, phase="ComfyUI answers again")
    if pod.silent_since_s is not None:
        step.put_pod(replace(pod, silent_since_s=None, silence_told=False))


def observed(step: Step, message: PodObserved) -> None:
    """The provider says what became of a pod whose line is lost."""
    pod = step.pods[message.pod_id]
    if pod.state is not PodState.LOST:
        return
    if message.state is ObservedState.TERMINATED:
        why = f"Pod {pod.pod_id} is gone: {message.detail}."
        step.notice(Level.ERROR, why, pod_id=pod.pod_id)
        pod_ending.gone(step, replace(pod, error=why))
    elif message.state is ObservedState.STOPPED:
        why = f"Pod {pod.pod_id} stopped without being asked: {message.detail}."
        step.notice(Level.ERROR, why, pod_id=pod.pod_id)
        if step.rules.watchdog and not pod.offer.spot:  # it waits for the last job; who outbids a pod does not
            for job in step.jobs_of(pod):
                job_steps.left_on_pod(step, job)
        pod_ending.end(step, replace(pod, error=why))


def stop(step: Step, message: StopPod) -> None:
    """Take no more work, finish and fetch (or break off, with ``now``), then end."""
    pod = step.put_pod(replace(step.pods[message.pod_id], replace=False))
    if pod.state in pod_ending.ENDING:
        if pod.state is PodState.STOPPED:
            pod_ending.terminate(step, pod)
        return
    pod = step.put_pod(replace(pod, ending=Ending.NOW if message.now else Ending.DRAIN))
    if pod.state in _WORKING:
        pod = step.move_pod(replace(pod, phase="finishing"), PodEvent.DRAIN)
    elif pod.state is not PodState.DRAINING:  # it has not begun to work
        pod_ending.end(step, pod)
        return
    if message.now:
        for job in step.jobs_of(pod):
            why = f"pod {pod.pod_id} was stopped"
            if not pod_ending.goes_elsewhere(step, pod, job):
                job_steps.request_cancel(step, job, WhyCancel.POD, why)
            elif job.state in job_steps.ON_THE_SERVER:
                job_steps.give_back(step, job, why)
    pod_ending.forsake(step, pod, f"pod {pod.pod_id} takes no more work")


def resume(step: Step, message: ResumePod) -> None:
    """Start a stopped pod again for the results that are on it; it ends when they are here."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.STOPPED and pod.provider_id is not None:
        provider_id = pod.provider_id
        pod = replace(pod, ending=Ending.DRAIN, phase="starting again", boot_since_s=step.now.s)
        pod = step.move_pod(pod, PodEvent.START)
        step.emit(
            BootPod(pod_id=pod.pod_id, provider_id=provider_id, within_minutes=step.rules.boot_minutes, start=True)
        )


def kill(step: Step, message: KillPod) -> None:
    """Terminate, whatever it does."""
    pod = step.put_pod(replace(step.pods[message.pod_id], replace=False))
    if pod.state not in (PodState.TERMINATING, PodState.TERMINATED):
        pod_ending.terminate(step, replace(pod, ending=Ending.KILL))


def detach(step: Step, message: DetachPod) -> None:
    """It stays when the session closes."""
    pod = step.put_pod(replace(step.pods[message.pod_id], detached=True, ends_after_batch=False))
    step.record(books.pod_detached(pod))


def close_all(step: Step, _message: CloseSession) -> None:
    """The session closes: what is not detached ends now, by the rule."""
    for pod_id in list(step.pods):
        pod = step.put_pod(replace(step.pods[pod_id], replace=False))
        if pod.state not in pod_ending.ENDING and not pod.detached:
            pod_ending.end(step, replace(pod, ending=Ending.NOW))


def stopped(step: Step, message: PodStopped) -> None:
    """The provider confirmed the stop."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.STOPPING:
        step.move_pod(replace(pod, phase="stopped; its volume bills"), PodEvent.STOPPED)


def terminated(step: Step, message: PodTerminated) -> None:
    """The provider confirmed the end."""
    pod = step.pods[message.pod_id]
    if pod.state is not PodState.TERMINATED:
        pod_ending.gone(step, pod)


def still_billing(step: Step, message: StillBilling) -> None:
    """A stop or a termination did not work yet."""
    pod = step.pods[message.pod_id]
    if pod.error != message.why:
        text = (
            f"Pod {pod.pod_id} may still bill: {message.why} It is tried again until that is sure; should this session"
            f" end before, `%autopod kill {pod.pod_id}` ends it."
        )
        step.notice(Level.ERROR, text, pod_id=pod.pod_id)
    step.put_pod(replace(pod, error=message.why, end_retry_s=step.now.s + _END_RETRY_S))


def end_again(step: Step, pod: PodData) -> None:
    """The pause after a stop or a termination that failed is over."""
    step.put_pod(replace(pod, end_retry_s=None))
    if pod.state is PodState.STOPPING and pod.provider_id is not None:
        step.emit(StopAtProvider(pod_id=pod.pod_id, provider_id=pod.provider_id))
    else:
        step.emit(TerminateAtProvider(pod_id=pod.pod_id, provider_id=pod.provider_id, name=pod.name))


def settle(step: Step) -> None:
    """After each message: does a pod work, rest, or end?"""
    if step.fleet is None:
        hand_out(step)
    for pod_id in list(step.pods):
        pod = step.pods[pod_id]
        if pod.state is PodState.READY and pod.active:
            pod = step.move_pod(replace(pod, idle_since_s=None), PodEvent.WORK)
        elif pod.state is PodState.BUSY and not pod.active:
            pod = step.move_pod(replace(pod, idle_since_s=step.now.s), PodEvent.WORK_DONE)
        drained = pod.state is PodState.DRAINING and (not pod.active or _only_failed_fetches(step, pod))
        batch_done = pod.state is PodState.READY and pod.ends_after_batch and not _waits_for(step, pod)
        if drained or batch_done:
            pod_ending.end(step, pod)


def _only_failed_fetches(step: Step, pod: PodData) -> bool:
    """Whether a pod that is to end now waits for nothing but results that cannot be fetched now."""
    return pod.ending is Ending.NOW and all(job.retry_s is not None for job in step.jobs_of(pod))


def _waits_for(step: Step, pod: PodData) -> bool:
    return any(step.job(job_id).pod_wish in (None, pod.pod_id) for job_id in step.queue)
