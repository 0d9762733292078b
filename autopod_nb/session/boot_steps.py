"""How a pod comes to be, until it can work: one function a message, each from state to state by the pod table."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.pod import PodEvent, PodState, is_over
from autopod_nb.models.snapshot import Level
from autopod_nb.session import books, guard_steps, job_steps, pod_ending, pod_fallback
from autopod_nb.session.commands import Connect
from autopod_nb.session.effects import (
    BootPod,
    CheckAccount,
    CreatePod,
    KeepReaper,
    TerminateAtProvider,
)
from autopod_nb.session.events import (
    IntentWritten,
    PodAddressed,
    PodBootFailed,
    PodCreated,
    PodNotCreated,
    PodPhase,
    PodPriced,
    PodReady,
)
from autopod_nb.session.state import PodData
from autopod_nb.session.step import Step

_DEARER = Decimal("1.02")  # less is rounding


def connect(step: Step, message: Connect) -> None:
    """Write the intent; nothing is made before it is in the ledger."""
    plan = message.plan
    step.limit_usd = plan.session_limit_usd
    pod = step.put_pod(
        PodData(
            pod_id=message.pod_id,
            name=message.pod_name,
            offer=plan.offer,
            session_id=step.rules.session_id,
            idle_minutes=plan.idle_minutes,
            ends_after_batch=message.ends_after_batch,
            requested=step.now,
            fallbacks=plan.fallbacks,
            limit_usd=step.rules.pod_limit_usd,
        )
    )
    step.record(*books.pod_intent(pod, step.rules, step.limit_usd), then=IntentWritten(pod_id=pod.pod_id))
    if step.rules.outlives:
        step.emit(KeepReaper())
        step.emit(CheckAccount())


def intent_written(step: Step, message: IntentWritten) -> None:
    """Now it may be made."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.TERMINATING:  # killed before anything was made
        pod_ending.gone(step, pod)
        return
    pod = step.move_pod(replace(pod, phase="asking the provider"), PodEvent.INTENT_WRITTEN)
    step.emit(CreatePod(pod_id=pod.pod_id, name=pod.name, offer=pod.offer))


def created(step: Step, message: PodCreated) -> None:
    """The provider made it: bring it up, or end it if that is wanted by now."""
    pod = step.put_pod(replace(step.pods[message.pod_id], provider_id=message.provider_id))
    pod = _at_price(step, pod, message.price_per_hour_usd)
    if pod.state is not PodState.REQUESTED:
        step.record(books.pod_changed(pod, step.now))
        step.emit(TerminateAtProvider(pod_id=pod.pod_id, provider_id=message.provider_id))
        return
    step.move_pod(replace(pod, phase="booting"), PodEvent.CREATED)
    step.emit(BootPod(pod_id=pod.pod_id, provider_id=message.provider_id, within_minutes=step.rules.boot_minutes))


def priced(step: Step, message: PodPriced) -> None:
    """It was started again, and may cost something else now."""
    _at_price(step, step.pods[message.pod_id], message.price_per_hour_usd)


def _at_price(step: Step, pod: PodData, price_per_hour_usd: Decimal | None) -> PodData:
    """The meter goes by what the provider says that it takes; a price that is higher than planned is worth a word."""
    planned = pod.offer.price_per_hour_usd
    if not price_per_hour_usd or price_per_hour_usd == planned:
        return pod
    if price_per_hour_usd > planned * _DEARER:
        text = f"Pod {pod.pod_id} costs {price_per_hour_usd:.3f} USD an hour, and {planned:.3f} were planned."
        step.notice(Level.WARNING, text, pod_id=pod.pod_id)
    return step.put_pod(replace(pod, offer=replace(pod.offer, price_per_hour_usd=price_per_hour_usd)))


def not_created(step: Step, message: PodNotCreated) -> None:
    """Nothing was made."""
    pod = replace(step.pods[message.pod_id], error=message.why)
    if is_over(pod.state):
        return
    step.notice(Level.ERROR, f"No pod: {message.why}", pod_id=pod.pod_id)
    if pod.state is PodState.REQUESTED:
        pod = step.move_pod(pod, PodEvent.CREATE_FAILED)
        if message.another_may_do and pod_fallback.try_next(step, pod):
            return
        pod_ending.forsake(step, pod, message.why)
    else:
        pod_ending.gone(step, pod)


def phase(step: Step, message: PodPhase) -> None:
    """What it does while it boots."""
    pod = step.pods[message.pod_id]
    if pod.state in (PodState.BOOTING, PodState.CONNECTING, PodState.LOST):
        step.put_pod(replace(pod, phase=message.phase))


def addressed(step: Step, message: PodAddressed) -> None:
    """Its SSH address is known, or another than that which was told first."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.BOOTING:
        step.move_pod(replace(pod, address=message.address, phase="opening SSH"), PodEvent.SSH_ADDRESS)
    elif pod.state is PodState.CONNECTING:
        step.put_pod(replace(pod, address=message.address))


def ready(step: Step, message: PodReady) -> None:
    """It can work."""
    pod = step.pods[message.pod_id]
    if pod.state is PodState.CONNECTING:
        pod = replace(pod, local_port=message.local_port, phase=f"ComfyUI {message.comfyui_version}")
        pod = step.move_pod(replace(pod, idle_since_s=step.now.s), PodEvent.COMFY_READY)
        guard_steps.arm(step, pod)
        for job in step.jobs_of(pod):  # it was started again for the results that are on it
            job_steps.fetch_again(step, job)
        if pod.ending is not None:
            step.move_pod(replace(pod, idle_since_s=None), PodEvent.DRAIN)


def boot_failed(step: Step, message: PodBootFailed) -> None:
    """It never became usable: end it, for it bills."""
    pod = step.pods[message.pod_id]
    if pod.state in (PodState.BOOTING, PodState.CONNECTING):
        pod = step.put_pod(replace(pod, error=message.why, replace=pod_fallback.has_next(pod)))
        step.notice(Level.ERROR, f"Pod {pod.pod_id} did not come up and is ended: {message.why}", pod_id=pod.pod_id)
        pod_ending.end(step, pod)
