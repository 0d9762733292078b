"""What goes on with the pods of a fleet, and who ends them: each wraps the step that does it without a fleet. Pure."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from autopod_nb.models.event import PromptOutcome
from autopod_nb.models.pod import PodState
from autopod_nb.models.snapshot import Level
from autopod_nb.session import boot_steps, job_steps, pod_ending, pod_steps
from autopod_nb.session.commands import CloseSession, DropFleet, KillPod, StopPod
from autopod_nb.session.events import PodBootFailed, PodNotCreated, PodReady
from autopod_nb.session.fleet_needs import outgrew
from autopod_nb.session.fleet_size import job_size
from autopod_nb.session.fleet_state import Avoided, FleetData, PodMemory, offer_key
from autopod_nb.session.fleet_steps import read_runs
from autopod_nb.session.job_events import PromptFetched, StepFailed
from autopod_nb.session.state import JobData, PodData, WhyCancel
from autopod_nb.session.step import Step

_WANT, _BOOT = 1, 2  # a boot that fails was paid for, so that less of it is borne
_HOPELESS = 3  # so much against an offer: if that holds for all of them, it is given up; a guess
_KEPT_RATIOS = 8
_READ_EVERY_S = 2.0
_TELLING_S = 5.0  # how long something shorter takes says nothing of the pod; a guess


def stop(step: Step, message: StopPod) -> None:
    """A person, or another process of theirs, ends a pod."""
    _ended_by_person(step, message.pod_id)
    pod_steps.stop(step, message)


def kill(step: Step, message: KillPod) -> None:
    """The same, at once."""
    _ended_by_person(step, message.pod_id)
    pod_steps.kill(step, message)


def close_all(step: Step, message: CloseSession) -> None:
    """Nothing is started any more."""
    step.fleet = None
    pod_steps.close_all(step, message)


def drop(step: Step, _message: DropFleet) -> None:
    """A person wants no more pods started: what waits with no pod there is over."""
    step.fleet = None
    if not any(map(_stays, step.pods.values())):
        for job_id in step.queue:
            job_steps.request_cancel(step, step.job(job_id), WhyCancel.POD, "no more pods are to be started")


def _ended_by_person(step: Step, pod_id: str) -> None:
    """Who ends a pod wants no other in its place: there may be as many from now on as are left."""
    fleet, pod = step.fleet, step.pods.get(pod_id)
    if fleet is None or pod is None or not _stays(pod):
        return
    left = sum(1 for other in step.pods.values() if other.pod_id != pod_id and _stays(other))
    if left == 0:
        step.fleet = None
        step.notice(Level.INFO, "The last pod is ended by you, so no other is started; say --max-pods again for that.")
    elif left < fleet.plan.max_pods:
        step.fleet = replace(fleet, plan=replace(fleet.plan, max_pods=left))
        text = f"Pod {pod_id} is ended by you, so there are at most {left} from now on; --max-pods says otherwise."
        step.notice(Level.INFO, text, pod_id=pod_id)


def _stays(pod: PodData) -> bool:
    return pod.ending is None and pod.state not in pod_ending.ENDING


def ready(step: Step, message: PodReady) -> None:
    """It came up, so nothing speaks against its kind any more."""
    fleet = step.fleet
    if fleet is not None:
        key = offer_key(step.pods[message.pod_id].offer)
        avoided = {name: each for name, each in fleet.avoided.items() if name != key}
        step.fleet = replace(fleet, avoided=MappingProxyType(avoided))
    boot_steps.ready(step, message)


def not_created(step: Step, message: PodNotCreated) -> None:
    """None was to be had, or the provider refused."""
    _failed(step, message.pod_id, _WANT if message.another_may_do else _HOPELESS, message.why)
    boot_steps.not_created(step, message)


def boot_failed(step: Step, message: PodBootFailed) -> None:
    """It never became usable."""
    if step.pods[message.pod_id].state in (PodState.BOOTING, PodState.CONNECTING):
        _failed(step, message.pod_id, _BOOT, message.why)
    boot_steps.boot_failed(step, message)


def _failed(step: Step, pod_id: str, weight: int, why: str) -> None:
    """Leave that kind alone for a while; when no kind is left to hope for and no pod is there, give up."""
    fleet = step.fleet
    if fleet is None or not fleet.pod(pod_id).ours:
        return
    key = offer_key(step.pods[pod_id].offer)
    avoided = {**fleet.avoided, key: Avoided.after(fleet.avoided.get(key), step.now.s, weight)}
    others = [pod for pod in step.pods.values() if pod.pod_id != pod_id and _stays(pod)]
    if not others and _is_hopeless(fleet, avoided):
        step.fleet = None
        step.notice(Level.ERROR, f"No pod could be started, and no other is tried: {why}")
    else:
        step.fleet = replace(fleet, avoided=MappingProxyType(avoided))


def _is_hopeless(fleet: FleetData, avoided: dict[str, Avoided]) -> bool:
    found = [avoided.get(offer_key(offer)) for offer in fleet.plan.offers]
    return all(each is not None and each.weight >= _HOPELESS for each in found)


def step_failed(step: Step, message: StepFailed) -> None:
    """Sending a job up or posting it failed: for the pod's line, or for the job itself."""
    job = step.find_job(message.job_id)
    if step.fleet is not None and job is not None and job.pod_id is not None and message.line_at_fault:
        memory = step.fleet.pod(job.pod_id)
        _keep(step, step.fleet, job.pod_id, replace(memory, faults=memory.faults + 1))
    job_steps.step_failed(step, message)


def fetched(step: Step, message: PromptFetched) -> None:
    """A job is over: how long it took says how fast its pod is, and what the next ones are going to take."""
    if step.fleet is not None and outgrew(step, step.fleet, message):
        return
    job = step.find_job(message.job_id)
    if step.fleet is not None and job is not None and message.result.outcome is PromptOutcome.SUCCESS:
        _rendered(step, step.fleet, job)
    job_steps.fetched(step, message)
    if step.fleet is not None and step.now.s - step.fleet.read_s >= _READ_EVERY_S:
        read_runs(step)


def _rendered(step: Step, fleet: FleetData, job: JobData) -> None:
    pod = step.pods.get(job.pod_id or "")
    if pod is None:
        return
    memory, name = fleet.pod(pod.pod_id), job.spec.workflow_template
    ratios = memory.ratios
    if fleet.known is not None and job.track.started_s is not None and name in fleet.known.templates:
        size = job_size(job.template, job.spec.params)
        expected_s = fleet.known.estimates.expected_s(name, pod.offer.gpu_type, size, guess_s=0.0)
        expected_s += 0.0 if memory.template == name else fleet.known.loads.get(name, 0.0)
        if expected_s >= _TELLING_S:  # and a guess says nothing at all
            ratios = (*ratios, (job.progress_s - job.track.started_s) / expected_s)[-_KEPT_RATIOS:]
    _keep(step, fleet, pod.pod_id, replace(memory, ratios=ratios, faults=0, template=name))


def _keep(step: Step, fleet: FleetData, pod_id: str, memory: PodMemory) -> None:
    step.fleet = replace(fleet, pods=MappingProxyType({**fleet.pods, pod_id: memory}))
