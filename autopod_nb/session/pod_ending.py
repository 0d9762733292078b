"""How a pod comes to its end, and what becomes of its jobs then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodEvent, PodState
from autopod_nb.models.snapshot import Level
from autopod_nb.session import books, job_steps, pod_fallback
from autopod_nb.session.effects import DropLine, StopAtProvider, TerminateAtProvider
from autopod_nb.session.state import Ending, JobData, PodData, WhyCancel
from autopod_nb.session.step import Step

_OUTBID = 5  # losses of spot pods that do not count as attempts: they are no fault of the job; a guess
ENDING = (PodState.STOPPING, PodState.STOPPED, PodState.TERMINATING, PodState.TERMINATED)


def end(step: Step, pod: PodData) -> None:
    """The rule: with results that are not here yet stop, else terminate.

    A machine that cannot be stopped is kept as long as it has some, until the session itself ends.
    """
    if unsaved(step, pod) and not step.rules.can_stop:
        if pod.ending is Ending.NOW:
            terminate(step, pod)
    elif unsaved(step, pod) and pod.provider_id is not None and pod.state is not PodState.STOPPED:
        kept = [job.job_id for job in step.jobs_of(pod) if job.state is JobState.COLLECTING]
        step.notice(
            Level.WARNING,
            f"Pod {pod.pod_id} is stopped, not terminated: the results of {', '.join(kept)} are still on it, and its"
            " volume bills. `%autopod adopt` fetches them and ends it;"
            f" `%autopod kill {pod.pod_id} --yes` gives them up.",
            pod_id=pod.pod_id,
        )
        _leave_jobs(step, pod, f"its pod {pod.pod_id} was stopped", but=kept)
        for job_id in kept:
            job = step.job(job_id)
            step.put(replace(job, retry_s=None, warning=f"Its results are on the stopped pod {pod.pod_id}."))
        pod = replace(step.pods[pod.pod_id], phase="stopping", error=pod.error, ending=None)
        pod = step.move_pod(pod, PodEvent.STOP)
        step.emit(DropLine(pod_id=pod.pod_id))
        step.emit(StopAtProvider(pod_id=pod.pod_id, provider_id=str(pod.provider_id)))
    else:
        terminate(step, pod)


def unsaved(step: Step, pod: PodData) -> int:
    """How many jobs have results on the pod that are not here."""
    return sum(1 for job in step.jobs_of(pod) if job.state is JobState.COLLECTING)


def terminate(step: Step, pod: PodData) -> None:
    """Begin the end; it is over when the provider confirms it."""
    was_adopted = pod.state is PodState.LOST
    pod = step.move_pod(replace(pod, phase="terminating"), PodEvent.TERMINATE)
    _leave_jobs(step, pod, pod.error or f"its pod {pod.pod_id} was terminated")
    step.emit(DropLine(pod_id=pod.pod_id))
    if pod.provider_id is not None or was_adopted:
        step.emit(TerminateAtProvider(pod_id=pod.pod_id, provider_id=pod.provider_id, name=pod.name))
    # else: the answer to create, or to the intent, is under way and ends it


def gone(step: Step, pod: PodData) -> None:
    """It is over: nothing bills any more."""
    if pod.state is PodState.LOST:
        step.emit(DropLine(pod_id=pod.pod_id))
    elif pod.state is not PodState.TERMINATING:
        pod = step.move_pod(pod, PodEvent.TERMINATE)
    pod = step.move_pod(replace(pod, phase="gone", local_port=None), PodEvent.TERMINATED)
    if pod.replace and pod_fallback.try_next(step, pod):
        pod = step.pods[pod.pod_id]
    _leave_jobs(step, pod, pod.error or f"its pod {pod.pod_id} is gone")
    step.record(books.lease_released(pod, step.rules))


def _leave_jobs(step: Step, pod: PodData, why: str, *, but: Sequence[str] = ()) -> None:
    """The pod does no more work: its jobs, *but* these, go elsewhere, or end."""
    for job in step.jobs_of(step.pods[pod.pod_id]):
        if job.job_id in but:
            continue
        if job.state is JobState.COLLECTING and not goes_elsewhere(step, pod, job):
            job_steps.fail(step, job, f"Its results are not here: {why.rstrip('.')}.")
        elif job.cancel is not None:
            job_steps.end_cancelled(step, job)
        elif pod.ending is not None and not goes_elsewhere(step, pod, job):
            _give_up(step, job, why)
        elif pod.ending is not None:
            job_steps.give_back(step, job, _sentence(why))
        elif pod.offer.spot and job.uncounted < _OUTBID:
            job_steps.give_back(step, replace(job, uncounted=job.uncounted + 1), _sentence(why))
        else:
            job_steps.try_again(step, job, _sentence(why))
    forsake(step, step.pods[pod.pod_id], why)


def _sentence(why: str) -> str:
    return f"{why[:1].upper()}{why[1:].rstrip('.')}."


def goes_elsewhere(step: Step, pod: PodData, job: JobData) -> bool:
    """Whether another pod will take a job of a pod that ends."""
    others = (other for other in step.pods.values() if other.pod_id != pod.pod_id)
    free = job.pod_wish is None and job.cancel is None
    if free and step.fleet is not None:  # it starts another if that pays
        return True
    return free and any(other.ending is None and other.state not in ENDING for other in others)


def _give_up(step: Step, job: JobData, why: str) -> None:
    cancelled = step.put(replace(job, cancel=WhyCancel.POD, cancel_text=why))
    job_steps.end_cancelled(step, cancelled)


def forsake(step: Step, pod: PodData, why: str) -> None:
    """End waiting jobs that no pod will take any more."""
    if pod.replace:  # another comes in its place
        return
    live = [
        other for other in step.pods.values() if other.replace or (other.state not in ENDING and other.ending is None)
    ]
    for job_id in step.queue:
        job = step.job(job_id)
        if job.pod_wish == pod.pod_id or not (live or step.fleet):
            if pod.ending is not None:
                _give_up(step, job, why)
            else:
                job_steps.fail(step, job, f"There is no pod for it: {why}")
