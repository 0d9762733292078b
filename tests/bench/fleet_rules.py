"""The rules that people use without a fleet rule: a pod for each job, one pod for all, round robin over a fixed fleet.

They are no straw men. They see the same estimates, pick the GPU that is expected to be cheapest among those in time
(and round robin its number of pods), group jobs by what they load, keep the next job ready on the pod, end each pod
with its last result, and replace one that is lost. So they differ from the fleet rule in nothing but how many pods they
have and who does what.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from autopod_nb.pods.fleet_facts import Assign, Decisions, End, Fleet, FleetJob, FleetOffer, FleetPod, Stage, Start

_EARLY = 0.95  # they leave themselves as much time as the fleet rule does
_SIZES = (2, 3, 4, 6, 8)


def _seconds(jobs: Sequence[FleetJob], gpu: str) -> float:
    """On one pod, each model loaded once; infinite if some cannot run there."""
    if any(gpu not in job.seconds for job in jobs):
        return math.inf
    ways = (jobs[0].upload_s + jobs[-1].download_s) if jobs else 0.0
    return sum(job.seconds[gpu] for job in jobs) + sum({job.model: job.load_s for job in jobs}.values()) + ways


def _able(jobs: Sequence[FleetJob], offer: FleetOffer) -> bool:
    return all(offer.vram_gb >= job.min_vram_gb for job in jobs)


def _best(
    shares: Sequence[Sequence[FleetJob]], offers: Sequence[FleetOffer], limit_s: float
) -> tuple[float, float, FleetOffer]:
    """(late, USD, offer): the cheapest in time, else the quickest, with a pod of it for each share."""
    found = []
    for offer in offers:
        times = [offer.boot_s + _seconds(share, offer.gpu) for share in shares if share]
        if offer.available and all(_able(share, offer) for share in shares) and max(times, default=0.0) < math.inf:
            late_s = max(0.0, max(times, default=0.0) - limit_s * _EARLY)
            found.append((late_s, sum(times) * float(offer.price_per_hour_usd) / 3600, offer))
    if not found:
        return math.inf, math.inf, offers[0]
    return min(found, key=lambda each: each[:2])


def _assign(pod: FleetPod, job: FleetJob) -> Assign:
    return Assign(job_id=job.job_id, pod_id=pod.pod_id, cost_usd=Decimal(0), why="")


def _limit_s(fleet: Fleet) -> float:
    return math.inf if fleet.deadline_left_s is None else fleet.deadline_left_s


class PodPerJob:
    """Each job gets a pod of its own."""

    def __init__(self) -> None:
        self._mine: dict[str, str] = {}  # pod → job, once it has one

    def __call__(self, fleet: Fleet) -> Decisions:
        """One turn."""
        waiting = list(fleet.jobs)
        assign, end = [], []
        for pod in fleet.pods:
            if pod.pod_id in self._mine:
                if not pod.given and pod.stage is not Stage.DRAINING:
                    end.append(End(pod_id=pod.pod_id, why=""))
            elif pod.stage is Stage.READY:
                job = next((job for job in waiting if pod.vram_gb >= job.min_vram_gb), None)
                if job is None:
                    end.append(End(pod_id=pod.pod_id, why=""))
                else:
                    waiting.remove(job)
                    self._mine[pod.pod_id] = job.job_id
                    assign.append(_assign(pod, job))
        coming = [pod for pod in fleet.pods if pod.stage is Stage.BOOTING]
        for pod in sorted(coming, key=lambda pod: pod.vram_gb):  # each will take the neediest job that it can
            job = next((job for job in sorted(waiting, key=lambda job: -job.min_vram_gb)
                        if pod.vram_gb >= job.min_vram_gb), None)  # fmt: skip
            if job is not None:
                waiting.remove(job)
        room = fleet.max_pods - len(fleet.pods)
        start = [
            Start(offer_id=_best([[job]], fleet.offers, _limit_s(fleet))[2].offer_id, cost_usd=Decimal(0), why="")
            for job in waiting[: max(0, room)]
            if any(offer.available and _able([job], offer) for offer in fleet.offers)
        ]
        return Decisions(assign=tuple(assign), start=tuple(start), end=tuple(end))


class Shares:
    """A fixed number of pods of one GPU; jobs are dealt out in turn as they come, whoever is free.

    Args:
        sizes: the numbers of pods to choose from at the beginning.
        stay: pods are kept until *jobs* jobs have come and are done, whether they have work or not.
        jobs: how many there will be.
    """

    def __init__(self, sizes: Sequence[int], *, stay: bool = False, jobs: int = 0) -> None:
        self._sizes = sizes
        self._stay = stay
        self._jobs = jobs
        self._share: dict[str, int] = {}  # job → which share
        self._pods: list[str | None] = []  # pod of each share
        self._seen: set[str] = set()
        self._gpu = ""

    def __call__(self, fleet: Fleet) -> Decisions:
        """One turn."""
        if not self._gpu:
            self._choose(fleet)
        live = {pod.pod_id: pod for pod in fleet.pods}
        self._pods = [pod_id if pod_id in live else None for pod_id in self._pods]
        for pod in fleet.pods:
            if pod.pod_id not in self._seen:
                self._seen.add(pod.pod_id)
                self._pods[self._pods.index(None)] = pod.pod_id
        self._go_without(fleet)
        for job in fleet.jobs:
            self._share.setdefault(job.job_id, len(self._share) % len(self._pods))
        assign: list[Assign] = []
        end: list[End] = []
        wanted = 0
        for number, pod_id in enumerate(self._pods):
            jobs = [job for job in fleet.jobs if self._share[job.job_id] == number]
            if pod_id is None:
                wanted += bool(jobs)
            elif live[pod_id].stage is Stage.READY:
                assign += self._fill(live[pod_id], jobs, fleet.depth)
                if not jobs and not live[pod_id].given and not self._must_stay(fleet):
                    end.append(End(pod_id=pod_id, why=""))
        offer = next(offer for offer in fleet.offers if offer.gpu == self._gpu)
        wanted = min(wanted, fleet.max_pods - len(fleet.pods)) if offer.available else 0
        start = [Start(offer_id=offer.offer_id, cost_usd=Decimal(0), why="") for _ in range(wanted)]
        return Decisions(assign=tuple(assign), start=tuple(start), end=tuple(end))

    def _go_without(self, fleet: Fleet) -> None:
        """Nothing more of the GPU is to be had: deal anew to the pods that there are, or choose another GPU."""
        if not any(offer.available for offer in fleet.offers if offer.gpu == self._gpu) and None in self._pods:
            self._pods = [pod_id for pod_id in self._pods if pod_id is not None]
            if not self._pods:
                self._choose(fleet)
            for number, job in enumerate(fleet.jobs):
                self._share[job.job_id] = number % len(self._pods)

    def _choose(self, fleet: Fleet) -> None:
        most = fleet.max_pods if self._stay else min(fleet.max_pods, max(1, len(fleet.jobs)))
        fits = [size for size in self._sizes if size <= most] or [1]
        plans = []
        for size in fits:
            shares = [fleet.jobs[number::size] for number in range(size)]
            late_s, usd, offer = _best(shares, fleet.offers, _limit_s(fleet))
            plans.append((late_s, usd, size, offer.gpu))
        _, _, size, self._gpu = min(plans)
        self._pods = [None] * size

    def _must_stay(self, fleet: Fleet) -> bool:
        return self._stay and (len(self._share) < self._jobs or any(pod.given for pod in fleet.pods))

    def _fill(self, pod: FleetPod, jobs: list[FleetJob], depth: int) -> list[Assign]:
        """As many as it may have, those first that find their model loaded."""
        out, model = [], pod.model
        for _ in range(pod.given, depth):
            if not jobs:
                break
            job = next((job for job in jobs if job.model == model), jobs[0])
            jobs.remove(job)
            model = job.model
            out.append(_assign(pod, job))
        return out


def one_pod() -> Shares:
    """One pod for all."""
    return Shares((1,))


def round_robin() -> Shares:
    """Round robin over a fixed fleet."""
    return Shares(_SIZES)
