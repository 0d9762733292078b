"""What of a plan is due now, and why, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_UP, Decimal

from autopod_nb.models.money import cost_usd, show_usd
from autopod_nb.pods.fleet_aim import Choice
from autopod_nb.pods.fleet_facts import Aim, Assign, End, Fleet, FleetJob, FleetOffer, FleetPod, Health, Stage, Start
from autopod_nb.pods.fleet_pack import Bin
from autopod_nb.pods.fleet_rest import rest_s

_PATIENCE_S = 600.0  # a job is overtaken only by those that came within so long after it; a guess
_MICRO_USD = Decimal("0.000001")
_A_BOOT_S = 180.0  # when nothing is on offer, so that nobody can tell what a boot costs; a guess


class Turn:
    """One turn of decisions. Ask for what is assigned first, then started, then ended.

    Args:
        fleet: everything there is.
        choice: the plan.
        blocked: jobs that wait for a pod to end.
        left_usd: of the budget; None for no limit.
    """

    def __init__(self, fleet: Fleet, choice: Choice, blocked: Sequence[FleetJob], left_usd: Decimal | None) -> None:
        self._fleet = fleet
        self._choice = choice
        self._blocked = blocked
        self._left_usd = left_usd
        self._order = {job.job_id: place for place, job in enumerate(fleet.jobs)}
        self._bins = {
            bin_.slot.source.pod_id: bin_ for bin_ in choice.packing.bins if isinstance(bin_.slot.source, FleetPod)
        }
        self._taken: set[str] = set()

    def assign(self) -> tuple[Assign, ...]:
        """Jobs for pods that have room; a pod gets one after the other until it has as many as it may have."""
        out: list[Assign] = []
        ready = [pod for pod in self._fleet.pods if pod.pod_id in self._bins and pod.stage is Stage.READY]
        overdue = self._overdue(ready)
        for pod in ready:
            model, planned = pod.model, self._planned(self._bins[pod.pod_id])
            for given in range(pod.given, self._fleet.depth):
                open_ = [job for job in planned if job.job_id not in self._taken]
                if not open_:
                    break
                job = min(open_, key=lambda job: self._rank(job, model, pod.gpu))
                job = self._older(overdue, job, pod) or job
                done = self._give(job, pod, loaded=job.model in ("", model), fresh=given == 0)
                if done is None:
                    break
                out.append(done)
                model = job.model or model
        return tuple(out)

    def _planned(self, bin_: Bin) -> list[FleetJob]:
        return [job for lot in bin_.lots for job in lot.jobs]

    def _rank(self, job: FleetJob, model: str, gpu: str) -> tuple[float, bool, float, int]:
        """Old ones first, then what is loaded; the largest first where the end counts, else in order."""
        size = 0.0 if self._fleet.aim is Aim.CHEAPEST else job.seconds[gpu]
        return -(job.waited_s // _PATIENCE_S), job.model not in ("", model), -size, self._order[job.job_id]

    def _overdue(self, ready: Iterable[FleetPod]) -> list[FleetJob]:
        """Jobs for pods that are ready, the oldest first."""
        youngest_s = min((job.waited_s for job in self._fleet.jobs), default=0.0)
        jobs = [
            job
            for pod in ready
            for job in self._planned(self._bins[pod.pod_id])
            if job.waited_s - youngest_s > _PATIENCE_S
        ]
        return sorted(jobs, key=lambda job: (-job.waited_s, self._order[job.job_id]))

    def _older(self, overdue: Sequence[FleetJob], chosen: FleetJob, pod: FleetPod) -> FleetJob | None:
        """A job that was overtaken long enough: it goes to whichever pod has room first."""
        for job in overdue:
            if job.waited_s - chosen.waited_s <= _PATIENCE_S:
                return None
            if job.job_id not in self._taken and pod.gpu in job.seconds and _may_run(job, pod):
                return job
        return None

    def _give(self, job: FleetJob, pod: FleetPod, *, loaded: bool, fresh: bool) -> Assign | None:
        """The decision; None if the budget is not enough."""
        seconds = max(job.seconds[pod.gpu], job.upload_s, job.download_s) * pod.pace
        seconds += (0.0 if loaded else job.load_s) + (job.upload_s if fresh else 0.0)
        cost = cost_usd(pod.price_per_hour_usd, Decimal(str(round(seconds, 3))))
        if not self._spend(cost):
            return None
        self._taken.add(job.job_id)
        why = "its model is loaded there" if loaded and job.model else "it is done soonest there for the least"
        shown = show_usd(cost, self._fleet.kind)
        return Assign(
            job_id=job.job_id,
            pod_id=pod.pod_id,
            cost_usd=cost,
            why=f"{job.job_id} goes to {pod.pod_id}: {why}, about {_time(seconds)} for {shown}.",
        )

    def _spend(self, cost: Decimal) -> bool:
        if self._left_usd is None:
            return True
        if cost > self._left_usd:
            return False
        self._left_usd -= cost
        return True

    def start(self) -> tuple[Start, ...]:
        """Pods that the plan wants and that there are not yet."""
        out = []
        for bin_ in self._choice.packing.started:
            offer = bin_.slot.source
            cost = Decimal(repr(bin_.usd)).quantize(_MICRO_USD, rounding=ROUND_UP)
            if isinstance(offer, FleetOffer) and self._spend(cost):
                out.append(Start(offer_id=offer.offer_id, cost_usd=cost, why=self._why_start(bin_, offer, cost)))
        return tuple(out)

    def _why_start(self, bin_: Bin, offer: FleetOffer, cost: Decimal) -> str:
        kind, count = self._fleet.kind, sum(len(lot.jobs) for lot in bin_.lots)
        jobs = "one job" if count == 1 else f"{count} jobs"
        text = (
            f"{offer.gpu} at {show_usd(offer.price_per_hour_usd, kind)} an hour is started for {jobs}, about"
            f" {show_usd(cost, kind)} with its boot"
        )
        keep, plan = self._choice.keep, self._choice.packing
        if self._choice.late:
            return f"{text}: the deadline cannot be kept, and with it all is done in {_time(plan.finish_s)}."
        if not self._bins:
            return f"{text}: there is no pod yet that takes work."
        if keep is None:
            missed = self._fleet.aim is Aim.DEADLINE
            return (
                f"{text}: without it the deadline is missed." if missed else f"{text}: no pod that is there can do it."
            )
        if keep.finish_s > plan.finish_s and self._fleet.aim is Aim.FASTEST:
            return f"{text}: all is done in {_time(plan.finish_s)}, without it in {_time(keep.finish_s)}."
        saved = max(Decimal(0), Decimal(str(round(keep.usd - plan.usd, 6))))
        return f"{text}: it saves about {show_usd(saved, kind)} against the pods that are there."

    def end(self) -> tuple[End, ...]:
        """Pods that get no more work."""
        out = []
        for pod in self._fleet.pods:
            why = None if pod.stage is Stage.DRAINING else self._why_end(pod)
            if why is not None:
                out.append(End(pod_id=pod.pod_id, why=f"{pod.pod_id} is ended: {why}."))
        if self._blocked and not out and all(pod.stage is not Stage.DRAINING for pod in self._fleet.pods):
            out += self._make_room()
        return tuple(out)

    def _why_end(self, pod: FleetPod) -> str | None:
        if pod.health is not Health.WELL:
            return f"it is {pod.health.value} and gets no more work"
        bin_ = self._bins.get(pod.pod_id)  # none: the plan does without it
        if pod.given or pod.pinned or (bin_ is not None and bin_.lots):
            return None
        if pod.stage is Stage.BOOTING:
            return "it still boots, and no job needs it any more"
        return self._why_not_rest(pod)

    def _why_not_rest(self, pod: FleetPod) -> str | None:
        """A pod that is ready and has nothing to do; None if it may wait for more."""
        if self._fleet.batch:
            return "no job that waits is sooner or cheaper on it" if self._fleet.jobs else "no job is left for it"
        if self._blocked:
            return "its place is needed for a job that it cannot run"
        if pod.idle_s < rest_s(self._break_even_s(pod), self._fleet.gaps_s):
            return None
        return f"it had nothing to do for {_time(pod.idle_s)}, and to wait on costs more than a new boot"

    def _break_even_s(self, pod: FleetPod) -> float:
        """For how long it could be paid for what a boot costs."""
        same = [offer for offer in self._fleet.offers if offer.gpu == pod.gpu] or self._fleet.offers
        boots = [float(offer.price_per_hour_usd) * offer.boot_s for offer in same]
        price = float(pod.price_per_hour_usd)
        return min(boots) / price if boots and price > 0 else _A_BOOT_S

    def _make_room(self) -> list[End]:
        """A job that waits too long for a place: the pod that is free first gets no more work."""
        waited = max(job.waited_s for job in self._blocked)
        others = [job.waited_s for job in self._fleet.jobs if job not in self._blocked]
        pods = [pod for pod in self._fleet.pods if not pod.pinned]
        if not pods or waited - max(others, default=0.0) <= _PATIENCE_S:
            return []
        pod = min(pods, key=lambda pod: pod.ready_in_s + pod.work_left_s)
        return [End(pod_id=pod.pod_id, why=f"{pod.pod_id} is ended: a job that it cannot run has waited for long.")]


def _may_run(job: FleetJob, pod: FleetPod) -> bool:
    return pod.vram_gb >= job.min_vram_gb and (job.gpus is None or pod.gpu in job.gpus)


def _time(seconds: float) -> str:
    """For a person: ``42 s``, ``12 min``, ``2.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
