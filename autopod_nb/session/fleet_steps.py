"""What becomes of a wish for a fleet: who gets which job, which pods are started, and which are ended. Pure.

The rule itself is in ``pods/fleet.py``. It is asked when a pod has changed or a job has come, else once a second; its
decisions are carried out by what a person's own commands do, so that every guard and limit of those holds here, too.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from autopod_nb.models.snapshot import Level
from autopod_nb.pods.fleet import decide
from autopod_nb.pods.fleet_facts import Decisions, Start, Unplaced
from autopod_nb.pods.limits import LimitLevel
from autopod_nb.session import boot_steps, job_steps, pod_steps
from autopod_nb.session.commands import Connect, PodPlan, PodRequest, StopPod, WishFleet
from autopod_nb.session.costs_now import session_cost
from autopod_nb.session.effects import ReadRuns
from autopod_nb.session.events import RunsSeen
from autopod_nb.session.fleet_sight import Sight, counts, free_jobs
from autopod_nb.session.fleet_state import FleetData, Known, PodMemory, Stranded, offer_key
from autopod_nb.session.hand_out import has_room, take, take_wished
from autopod_nb.session.job_steps import ON_THE_SERVER
from autopod_nb.session.state import PodData, WhyCancel
from autopod_nb.session.step import Step

_EVERY_S = 1.0  # also before it is asked for the first job after a pause: of a sweep, the others are just coming
_NEWS_S = 0.1
_READ_WITHIN_S = 10.0  # a ledger that does not answer by then is not waited for; a guess
_GAPS = 30
_NAMES = uuid.UUID("5f1c4f0e-6a39-4c6c-9a55-0d2a3c2b7a10")  # ids of pods are made from this, the session and a number


def wish(step: Step, message: WishFleet) -> None:
    """A person says how many pods there may be, and what matters most; the newest wish counts."""
    plan, before = message.plan, step.fleet
    kind = plan.offers[0].kind
    step.limit_usd = plan.session_limit_usd
    spent = session_cost(step.spent_usd.get(kind, Decimal(0)), step.pods.values(), kind, step.now.s)
    minutes = plan.within_minutes
    fresh = FleetData(plan=plan, batch=message.batch) if before is None else replace(before, plan=plan, dirty=True)
    step.fleet = replace(
        fresh,
        batch=message.batch and fresh.batch,
        before_usd=spent,
        wished_s=step.now.s,
        ends_by_s=None if minutes is None else step.now.s + float(minutes) * 60,
    )


def seen(step: Step, message: RunsSeen) -> None:
    """The ledger was read; if it could not be, guesses do."""
    if step.fleet is not None:
        known = message.known
        if known is None:
            waiting = {job.spec.workflow_template for job in free_jobs(step)}
            known = replace(step.fleet.known or Known(), templates=frozenset(waiting))
        step.fleet = replace(step.fleet, known=known, reading=False, dirty=True)


def turn(step: Step) -> None:
    """After each message: ask the rule, if there is a wish and anything that it could answer differently."""
    if step.fleet is None:
        return
    if _is_spent(step, step.fleet):
        return
    take_wished(step)
    fleet = step.fleet = _look(step, step.fleet)
    if fleet.batch and fleet.begun and not step.queue and not any(map(counts, step.pods.values())):
        step.fleet = None
        return
    due = _is_due(step, fleet)
    early = fleet.known is None and not fleet.reading  # a second before it is needed
    known = _knowledge(step, fleet) if due or early else None
    if known is None or not due:
        return
    decisions = decide(Sight(step, fleet, known).fleet())
    _carry_out(step, decisions)
    _remember(step, decisions)


def _is_spent(step: Step, fleet: FleetData) -> bool:
    """At a limit of session, day or month everything ends: so do the wish, and jobs that wait for pods of it."""
    kind = fleet.plan.offers[0].kind
    reached = [name for (of, name), level in step.limits.items() if of is kind and level is LimitLevel.REACHED]
    if not reached:
        return False
    step.fleet = None
    for job_id in step.queue:
        job_steps.request_cancel(step, step.job(job_id), WhyCancel.LIMIT, f"the {reached[0]}'s limit was reached")
    return True


def _is_due(step: Step, fleet: FleetData) -> bool:
    """Something has changed that matters at once, or a second has passed with something left to decide."""
    if step.now.s - max(fleet.asked_s, fleet.began_s) >= _EVERY_S:
        return bool(step.queue) or any(memory.ours for memory in fleet.pods.values())
    if _key(step) != fleet.key:
        return True
    news = fleet.dirty and step.now.s - fleet.asked_s >= _NEWS_S
    return news and any(has_room(step, pod) for pod in step.pods.values())


def _key(step: Step) -> tuple[object, ...]:
    """What of pods matters to the rule at once."""
    return tuple(
        (pod.pod_id, pod.state, pod.ending, pod.silent_since_s is None, _given(step, pod))
        for pod in step.pods.values()
        if counts(pod)
    )


def _given(step: Step, pod: PodData) -> int:
    return sum(1 for job in step.jobs_of(pod) if job.state in ON_THE_SERVER)


def _knowledge(step: Step, fleet: FleetData) -> Known | None:
    """What earlier runs took; None until the ledger has been read for all templates that wait."""
    templates = {job.spec.workflow_template: job.template for job in free_jobs(step)}
    known = fleet.known
    if not templates or (known is not None and templates.keys() <= known.templates):
        return known
    if not fleet.reading:
        read_runs(step)
    elif step.now.s - fleet.read_s >= _READ_WITHIN_S:
        seen(step, RunsSeen(known=None))
    return None


def read_runs(step: Step) -> None:
    """Have the ledger read for the templates of all jobs that are not over."""
    if step.fleet is None or step.fleet.reading:
        return
    live = [*step.queue, *(name for pod in step.pods.values() for name in pod.active)]
    templates = {job.spec.workflow_template: job.template for job in map(step.job, live)}
    step.fleet = replace(step.fleet, reading=True, read_s=step.now.s)
    step.emit(ReadRuns(templates=templates))


def _look(step: Step, fleet: FleetData) -> FleetData:
    """Notice when there is nothing to do, and when there is again."""
    works = bool(step.queue) or any(pod.active for pod in step.pods.values())
    if works and fleet.empty_since_s is not None:
        gaps = (*fleet.gaps_s, step.now.s - fleet.empty_since_s)[-_GAPS:]
        return replace(fleet, empty_since_s=None, gaps_s=gaps, began_s=step.now.s)
    if works:
        return fleet if fleet.begun else replace(fleet, begun=True, began_s=step.now.s)
    return replace(fleet, empty_since_s=step.now.s) if fleet.begun and fleet.empty_since_s is None else fleet


# --- what the rule decided -------------------------------------------------------------------------------------------


def _carry_out(step: Step, decisions: Decisions) -> None:
    for given in decisions.assign:
        take(step, step.pods[given.pod_id], step.job(given.job_id))
    for start in decisions.start:
        _start(step, start)
    for end in decisions.end:
        step.notice(Level.INFO, end.why, pod_id=end.pod_id)
        pod_steps.stop(step, StopPod(pod_id=end.pod_id, now=False))


def _start(step: Step, start: Start) -> None:
    """What a person's `connect` does, for one pod."""
    fleet = step.fleet
    if fleet is None:
        return
    offer = next(offer for offer in fleet.plan.offers if offer_key(offer) == start.offer_id)
    number, pod_id, name = _new_name(step, fleet)
    plan = PodPlan(
        request=PodRequest(),
        offer=offer,
        session_limit_usd=step.limit_usd,
        idle_minutes=fleet.plan.idle_minutes,
        needs_yes=False,
    )
    pods = MappingProxyType({**fleet.pods, pod_id: PodMemory(ours=True)})
    step.fleet = replace(fleet, number=number, pods=pods)
    step.notice(Level.INFO, f"Pod {pod_id}: {start.why}", pod_id=pod_id)
    boot_steps.connect(step, Connect(pod_id=pod_id, pod_name=name, plan=plan, ends_after_batch=fleet.batch))


def _new_name(step: Step, fleet: FleetData) -> tuple[int, str, str]:
    """The next number, and an id and a name that are made from it: a step knows no chance."""
    number = fleet.number
    while True:
        number += 1
        letters = uuid.uuid5(_NAMES, f"{step.rules.session_id}:{number}").hex
        if letters[:6] not in step.pods:
            return number, letters[:6], f"autopod-{letters[:6]}-{letters[6:14]}"


def _remember(step: Step, decisions: Decisions) -> None:
    if step.fleet is not None:
        stranded = _stranded(step.fleet.stranded, decisions.unplaced)
        if stranded and not step.fleet.stranded and not step.said(text := _without_pod(stranded)):
            step.notice(Level.WARNING, text)
        step.fleet = replace(
            step.fleet,
            dirty=False,
            asked_s=step.now.s,
            key=_key(step),
            stranded=stranded,
            cost_usd=decisions.cost_usd,
            done_s=step.now.s + decisions.finish_s if decisions.finish_s else None,
        )


def _without_pod(stranded: Sequence[Stranded]) -> str:
    count = sum(len(each.job_ids) for each in stranded)
    return f"{count} job{' waits' if count == 1 else 's wait'} without a pod. {stranded[0].why}"


def _stranded(before: tuple[Stranded, ...], unplaced: Iterable[Unplaced]) -> tuple[Stranded, ...]:
    """Jobs by the reason; as long as they are the same jobs, the words stay, for they are read out when they change."""
    by_why: dict[str, list[str]] = {}
    for each in unplaced:
        by_why.setdefault(each.why, []).append(each.job_id)
    now = tuple(Stranded(why, tuple(job_ids)) for why, job_ids in by_why.items())
    same = sorted(each.job_ids for each in before) == sorted(each.job_ids for each in now)
    return before if same else now
