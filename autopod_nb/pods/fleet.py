"""The fleet rule: which pod gets which job, which pod is started, and which is ended. Pure.

It is asked whenever something has happened, and plans all of the work anew each time; of that plan only what is due now
is decided: jobs for pods that have room, pods to start, pods to end. So a guess that was wrong costs little.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from autopod_nb.models.money import cost_usd, sum_usd
from autopod_nb.pods.fleet_aim import Choice, Chooser
from autopod_nb.pods.fleet_facts import Decisions, Fleet, FleetJob, FleetPod, Health, Stage, Unplaced
from autopod_nb.pods.fleet_lots import Lot, can_run, make_lots
from autopod_nb.pods.fleet_pack import Slot, offer_slot, pod_slot
from autopod_nb.pods.fleet_turn import Turn

_PRECISE = 64  # of many jobs it need not be known to one how many the budget is enough for: it is asked again


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What a plan is made of."""

    slots: Sequence[Slot]
    offers: Sequence[Slot]
    vram_gb: Mapping[str, int]
    room: int
    budget_usd: float


def decide(fleet: Fleet) -> Decisions:
    """What is to be done now.

    Args:
        fleet: everything there is; the same always gives the same answer.

    Returns:
        Decisions that hold together: all that they cost is within the budget, and there are never too many pods.
    """
    given_usd = _given_usd(fleet)
    left_usd = None if fleet.budget_left_usd is None else max(Decimal(0), fleet.budget_left_usd - given_usd)
    sound = [pod for pod in fleet.pods if pod.stage is not Stage.DRAINING and pod.health is Health.WELL]
    parts = _parts(fleet, sound, left_usd)
    lots, stranded = make_lots(fleet.jobs, parts.vram_gb)
    choice = _choose(fleet, parts, lots)
    unplaced = [Unplaced(job_id=job.job_id, why=_stranded(fleet, job)) for job in stranded]
    if choice.packing.usd > parts.budget_usd:
        able = [job for job in fleet.jobs if not any(job is other for other in stranded)]
        count, choice = _affordable(fleet, parts, able)
        unplaced += [Unplaced(job_id=job.job_id, why=_beyond(left_usd)) for job in able[count:]]
    blocked = [job for lot in choice.packing.left for job in lot.jobs]
    unplaced += [Unplaced(job_id=job.job_id, why=_blocked(fleet)) for job in blocked]
    turn = Turn(fleet, choice, blocked, left_usd)
    given_s = max((pod.ready_in_s + pod.work_left_s for pod in fleet.pods if pod.given), default=0.0)
    return Decisions(
        assign=turn.assign(),
        start=turn.start(),
        end=turn.end(),
        unplaced=tuple(unplaced),
        cost_usd=sum_usd((given_usd, Decimal(str(round(choice.packing.usd, 6))))),
        finish_s=max(given_s, choice.packing.finish_s),
    )


def _given_usd(fleet: Fleet) -> Decimal:
    """What pods still cost for the work that they have been given."""
    return sum_usd(
        cost_usd(pod.price_per_hour_usd, Decimal(str(round(pod.ready_in_s + pod.work_left_s, 3))))
        for pod in fleet.pods
        if pod.given
    )


def _parts(fleet: Fleet, sound: Sequence[FleetPod], left_usd: Decimal | None) -> _Parts:
    offers = [offer for offer in fleet.offers if offer.available]
    return _Parts(
        slots=[pod_slot(pod) for pod in sound],
        offers=[offer_slot(offer) for offer in offers],
        vram_gb={**{offer.gpu: offer.vram_gb for offer in offers}, **{pod.gpu: pod.vram_gb for pod in sound}},
        room=max(0, fleet.max_pods - len(fleet.pods)),
        budget_usd=math.inf if left_usd is None else float(left_usd),
    )


def _affordable(fleet: Fleet, parts: _Parts, jobs: Sequence[FleetJob]) -> tuple[int, Choice]:
    """As many jobs in order as the budget is enough for, and what is best for them."""
    enough, too_many, best = 0, len(jobs), _choose(fleet, parts, ())
    while too_many - enough > max(1, len(jobs) // _PRECISE):
        middle = (enough + too_many) // 2
        choice = _choose(fleet, parts, make_lots(jobs[:middle], parts.vram_gb)[0])
        if choice.packing.usd <= parts.budget_usd:
            enough, best = middle, choice
        else:
            too_many = middle
    return enough, best


def _choose(fleet: Fleet, parts: _Parts, lots: Sequence[Lot]) -> Choice:
    chooser = Chooser(fleet, lots, parts.slots, parts.offers, room=parts.room, budget_usd=parts.budget_usd)
    return chooser.choose()


def _stranded(fleet: Fleet, job: FleetJob) -> str:
    if any(not offer.available and can_run(job, offer.gpu, offer.vram_gb) for offer in fleet.offers):
        return "What it could run on is not to be had just now, or did not come up; it is tried again after a while."
    wish = f"one of {', '.join(sorted(job.gpus))}" if job.gpus else "a GPU"
    memory = f" with {job.min_vram_gb} GB" if job.min_vram_gb else ""
    return f"It needs {wish}{memory}, and there is no such pod and no such offer; ask for less, or for another GPU."


def _beyond(left_usd: Decimal | None) -> str:
    return f"The budget leaves {left_usd:.4f} USD, and what comes before it needs that; raise it to go on."


def _blocked(fleet: Fleet) -> str:
    return f"It waits until a pod has ended: {fleet.max_pods} pods are allowed and none of them can run it."
