"""Which pod gets which waiting job: pure, like all steps."""

from __future__ import annotations

from dataclasses import replace

from autopod_nb.models.job import JobEvent
from autopod_nb.models.pod import PodState
from autopod_nb.session.effects import UploadInputs
from autopod_nb.session.job_steps import ON_THE_SERVER
from autopod_nb.session.state import JobData, PodData
from autopod_nb.session.step import Step

_WITH_ROOM = (PodState.READY, PodState.BUSY)


def hand_out(step: Step) -> None:
    """Give waiting jobs, in order, to pods that have room: each pod one, before any has the next behind it."""
    for depth in range(1, step.rules.depth + 1):
        for pod_id in list(step.pods):
            while _has_room(step, step.pods[pod_id], depth):
                waiting = next((name for name in step.queue if _may_take(step.job(name), pod_id)), None)
                if waiting is None:
                    break
                take(step, step.pods[pod_id], step.job(waiting))


def take_wished(step: Step) -> None:
    """Give jobs that wish for one pod to that pod, in order, if it has room; the others are the fleet rule's."""
    if not any(has_room(step, pod) for pod in step.pods.values()):
        return
    for job_id in step.queue:
        job = step.job(job_id)
        pod = step.pods.get(job.pod_wish or "")
        if job.recorded and pod is not None and has_room(step, pod):
            take(step, pod, job)


def has_room(step: Step, pod: PodData) -> bool:
    """Whether it can be given one more job just now."""
    return _has_room(step, pod, step.rules.depth)


def _has_room(step: Step, pod: PodData, depth: int) -> bool:
    if pod.state not in _WITH_ROOM or pod.ending is not None or pod.silent_since_s is not None:
        return False
    rendering = [job for job in step.jobs_of(pod) if job.state in ON_THE_SERVER]
    return pod.rest_until_s <= step.now.s and len(rendering) < depth


def _may_take(job: JobData, pod_id: str) -> bool:
    return job.recorded and job.pod_wish in (None, pod_id)


def take(step: Step, pod: PodData, job: JobData) -> None:
    """A pod with room gets a job that waits."""
    step.queue = tuple(name for name in step.queue if name != job.job_id)
    step.put_pod(replace(pod, active=(*pod.active, job.job_id)))
    job = replace(job, pod_id=pod.pod_id, kind=pod.offer.kind, taken=step.now, progress_s=step.now.s)
    step.move(job, JobEvent.TAKEN)
    step.emit(UploadInputs(pod_id=pod.pod_id, spec=job.spec, attempt=job.attempt))
