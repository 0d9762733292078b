"""How much GPU memory jobs turn out to need: a GPU that was too small for one is too small for its like. Pure."""

from __future__ import annotations

from dataclasses import replace

from autopod_nb.models.event import PromptOutcome
from autopod_nb.models.failures import OUT_OF_GPU_MEMORY, recognise
from autopod_nb.models.job import JobState
from autopod_nb.models.offer import Offer, gpu_key
from autopod_nb.session import job_steps
from autopod_nb.session.fleet_size import job_size
from autopod_nb.session.fleet_state import FleetData, Outgrown
from autopod_nb.session.job_events import PromptFetched
from autopod_nb.session.state import JobData, PodData
from autopod_nb.session.step import Step


def outgrew(step: Step, fleet: FleetData, message: PromptFetched) -> bool:
    """Queue a job that ran out of GPU memory again, for a larger GPU, if it may have one.

    Where its like was rendered with no more memory it is no matter of the GPU, and the job fails as everywhere.

    Returns:
        Whether it did.
    """
    job = step.find_job(message.job_id)
    if job is None or job.pod_id is None or (job.state, job.attempt) != (JobState.COLLECTING, message.attempt):
        return False
    fault, pod = message.result.fault, step.pods[job.pod_id]
    if message.result.outcome is not PromptOutcome.ERROR or fault is None:
        return False
    known = recognise(f"{fault.exception_type}: {fault.message}")
    if known is None or known.name != OUT_OF_GPU_MEMORY or _fits(step, job, pod) or not _larger(fleet, job, pod):
        return False
    found = Outgrown(job.spec.workflow_template, job_size(job.template, job.spec.params), pod.offer.vram_gb)
    step.fleet = replace(fleet, outgrown=(*fleet.outgrown, found), dirty=True)
    why = f"it ran out of the {pod.offer.vram_gb} GB of its {pod.offer.gpu_type}, and gets a GPU with more."
    job_steps.give_back(step, replace(job, uncounted=job.uncounted + 1), why)
    return True


def needed_gb(fleet: FleetData, template: str, size: float) -> int:
    """The least memory that a GPU must have for a job, as far as is known; 0 if nothing is."""
    too_small = [each.vram_gb for each in fleet.outgrown if each.template == template and each.size <= size]
    return max(too_small, default=-1) + 1


def _fits(step: Step, job: JobData, pod: PodData) -> bool:
    """Whether a job like it, or a larger one, was rendered with no more memory."""
    size = job_size(job.template, job.spec.params)
    return any(
        other.state is JobState.DONE
        and other.spec.workflow_template == job.spec.workflow_template
        and job_size(other.template, other.spec.params) >= size
        and step.pods[other.pod_id].offer.vram_gb <= pod.offer.vram_gb
        for other in step.jobs_before()
        if other.pod_id is not None
    )


def _larger(fleet: FleetData, job: JobData, pod: PodData) -> bool:
    wanted = job.spec.pod_config.gpu_type

    def may(offer: Offer) -> bool:
        return offer.vram_gb > pod.offer.vram_gb and (wanted is None or gpu_key(wanted) == gpu_key(offer.gpu_type))

    return job.pod_wish is None and any(map(may, fleet.plan.offers))
