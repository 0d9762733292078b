"""What the fleet rule sees of a session: from its state to plain facts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from autopod_nb.models.job import JobState
from autopod_nb.models.offer import Offer, gpu_key
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.pods.fleet_estimate import health, left_s, pace, usual_s
from autopod_nb.pods.fleet_facts import Fleet, FleetJob, FleetOffer, FleetPod, Health, Stage
from autopod_nb.session.costs_now import day_and_month_cost, session_cost
from autopod_nb.session.fleet_needs import needed_gb
from autopod_nb.session.fleet_size import guess_s, job_size
from autopod_nb.session.fleet_state import FleetData, Known, PodMemory, offer_key
from autopod_nb.session.job_steps import ON_THE_SERVER
from autopod_nb.session.state import JobData, PodData
from autopod_nb.session.step import Step

_BOOT_GUESS_S = {"local": 10.0}
_BOOT_S = 180.0  # of a pod that is rented for the first time; a guess
_LINE_S = 15.0  # until a line or a server that was lost is back; a guess
_BROKEN = 3  # attempts in a row that failed for the pod; a guess
_LEAST_S = 1.0  # of a deadline that has passed
_TAKES_WORK = (PodState.READY, PodState.BUSY)
_LEAVING = (PodState.DRAINING, PodState.STOPPING, PodState.TERMINATING)
_BOOTS = (PodState.PLANNED, PodState.REQUESTED, PodState.BOOTING, PodState.CONNECTING)


class Sight:
    """Sees for one moment.

    Args:
        step: the session.
        fleet: the wish.
        known: what earlier runs took.
    """

    def __init__(self, step: Step, fleet: FleetData, known: Known) -> None:
        self._step = step
        self._fleet = fleet
        self._known = known
        self._pods = [pod for pod in step.pods.values() if counts(pod)]
        self._gpus = list(
            dict.fromkeys([offer.gpu_type for offer in fleet.plan.offers] + [pod.offer.gpu_type for pod in self._pods])
        )
        self._told_usd = {
            offer_key(pod.offer): pod.offer.price_per_hour_usd
            for pod in step.pods.values()
            if pod.requested.s >= fleet.wished_s
        }
        self._expected: dict[tuple[str, float], dict[str, float]] = {}

    def fleet(self) -> Fleet:
        """Everything at this moment."""
        plan, step = self._fleet.plan, self._step
        ends_by_s = self._fleet.ends_by_s
        jobs = tuple(self._job(job) for job in free_jobs(step))
        return Fleet(
            jobs=jobs,
            pods=tuple(self._pod(pod) for pod in self._pods),
            offers=tuple(self._offers()),
            max_pods=plan.max_pods,
            aim=plan.aim,
            budget_left_usd=left_usd(step, self._fleet),
            deadline_left_s=None if ends_by_s is None else max(_LEAST_S, ends_by_s - step.now.s),
            batch=self._fleet.batch,
            gaps_s=self._fleet.gaps_s,
            depth=step.rules.depth,
            kind=plan.offers[0].kind,
        )

    def expected_s(self, job: JobData) -> dict[str, float]:
        """GPU → what a job is expected to take there."""
        params, name = job.spec.params, job.spec.workflow_template
        size = job_size(job.template, params)
        found = self._expected.get((name, size))
        if found is None:
            usual = dict(job.usual_s)
            guess = min(usual.values()) if usual else guess_s(job.template, params)
            found = self._expected[name, size] = {
                gpu: self._known.estimates.expected_s(name, gpu, size, guess_s=guess) for gpu in self._gpus
            }
        return found

    def _job(self, job: JobData) -> FleetJob:
        config, name = job.spec.pod_config, job.spec.workflow_template
        wanted = None
        if config.gpu_type is not None:
            wanted = frozenset(gpu for gpu in self._gpus if gpu_key(gpu) == gpu_key(config.gpu_type))
        up_s, down_s = self._known.ways.get(name, (0.0, 0.0))
        return FleetJob(
            job_id=job.job_id,
            seconds=self.expected_s(job),
            model=name,
            load_s=self._known.loads.get(name, 0.0),
            min_vram_gb=self._needed_gb(job),
            upload_s=up_s,
            download_s=down_s,
            gpus=wanted,
            waited_s=max(0.0, self._step.now.s - job.submitted.s),
        )

    def _needed_gb(self, job: JobData) -> int:
        """What is known of the memory that it needs; as long as nothing outgrew a GPU nobody need reckon its size."""
        if not self._fleet.outgrown:
            return 0
        return needed_gb(self._fleet, job.spec.workflow_template, job_size(job.template, job.spec.params))

    def _offers(self) -> Iterator[FleetOffer]:
        """The cheapest that is not to be avoided, of each GPU; one that is, if there is no other."""
        seen = set()
        by_price = sorted(self._fleet.plan.offers, key=lambda offer: (self._rests(offer), self._price_usd(offer)))
        for offer in by_price:
            if offer.gpu_type not in seen:
                seen.add(offer.gpu_type)
                yield FleetOffer(
                    offer_id=offer_key(offer),
                    gpu=offer.gpu_type,
                    vram_gb=offer.vram_gb,
                    price_per_hour_usd=self._price_usd(offer),
                    boot_s=self._boot_s(offer),
                    available=not self._rests(offer),
                )

    def _price_usd(self, offer: Offer) -> Decimal:
        """An hour of it: what its newest pod costs, if that is newer than the plan."""
        return self._told_usd.get(offer_key(offer), offer.price_per_hour_usd)

    def _rests(self, offer: Offer) -> bool:
        avoided = self._fleet.avoided.get(offer_key(offer))
        return avoided is not None and avoided.until_s > self._step.now.s

    def _boot_s(self, offer: Offer) -> float:
        boots = self._known.boots
        times = boots.get(offer.gpu_type) or tuple(seconds for found in boots.values() for seconds in found)
        return usual_s(times, _BOOT_GUESS_S.get(offer.provider, _BOOT_S))

    # --- pods -------------------------------------------------------------------------------------------------------

    def _pod(self, pod: PodData) -> FleetPod:
        memory = self._fleet.pod(pod.pod_id)
        on_server = [job for job in self._step.jobs_of(pod) if job.state in ON_THE_SERVER]
        slow, stage = pace(memory.ratios), self._stage(pod)
        waits = self._step.now.s if pod.idle_since_s is None or pod.active else pod.idle_since_s
        return FleetPod(
            pod_id=pod.pod_id,
            gpu=pod.offer.gpu_type,
            vram_gb=pod.offer.vram_gb,
            price_per_hour_usd=pod.offer.price_per_hour_usd,
            stage=stage,
            ready_in_s=self._ready_in_s(pod) if stage is Stage.BOOTING else 0.0,
            given=len(on_server),
            work_left_s=sum(self._left_s(pod, job, slow) for job in on_server),
            model=on_server[-1].spec.workflow_template if on_server else memory.template,
            idle_s=max(0.0, self._step.now.s - waits),
            pace=slow,
            health=_health(memory),
            pinned=not memory.ours or pod.detached or self._is_away(pod) or self._is_wished(pod),
        )

    def _stage(self, pod: PodData) -> Stage:
        if pod.ending is not None or pod.replace or pod.state in _LEAVING:
            return Stage.DRAINING
        ready = pod.state in _TAKES_WORK and not self._is_away(pod)
        return Stage.READY if ready else Stage.BOOTING

    def _is_away(self, pod: PodData) -> bool:
        """It works, but cannot be given anything for a moment: its line or its server is lost."""
        rests = pod.state in _TAKES_WORK and pod.rest_until_s > self._step.now.s
        return pod.state is PodState.LOST or pod.silent_since_s is not None or rests

    def _is_wished(self, pod: PodData) -> bool:
        return any(self._step.job(name).pod_wish == pod.pod_id for name in self._step.queue)

    def _ready_in_s(self, pod: PodData) -> float:
        now_s = self._step.now.s
        if pod.state in _BOOTS:
            since_s = pod.requested.s if pod.boot_since_s is None else pod.boot_since_s
            return left_s(self._boot_s(pod.offer), max(0.0, now_s - since_s))
        since = [since_s for since_s in (pod.lost_since_s, pod.silent_since_s) if since_s is not None]
        return left_s(_LINE_S, max(0.0, now_s - min(since))) if since else pod.rest_until_s - now_s

    def _left_s(self, pod: PodData, job: JobData, slow: float) -> float:
        expected_s = self.expected_s(job)[pod.offer.gpu_type] * slow
        began_s = job.track.started_s
        if job.state is not JobState.RUNNING or began_s is None:
            return expected_s
        return left_s(expected_s, max(0.0, self._step.now.s - began_s))


def counts(pod: PodData) -> bool:
    """Whether a pod is one of those that may bill; one that is only planned is going to."""
    return may_bill(pod.state) or pod.state is PodState.PLANNED


def free_jobs(step: Step) -> Iterator[JobData]:
    """Jobs that wait and may go to any pod, in order."""
    return (job for job in map(step.job, step.queue) if job.recorded and job.pod_wish is None)


def left_usd(step: Step, fleet: FleetData) -> Decimal | None:
    """What the fleet may still cost, work that its pods have been given included; None without any limit."""
    kind = fleet.plan.offers[0].kind
    session_usd = session_cost(step.spent_usd.get(kind, Decimal(0)), step.pods.values(), kind, step.now.s)
    day_usd, month_usd = day_and_month_cost(step.ledger_usd.get(kind), session_usd)
    sums = (
        (fleet.plan.budget_usd, session_usd - fleet.before_usd),
        (step.limit_usd, session_usd),
        (step.rules.day_limit_usd, day_usd),
        (step.rules.month_limit_usd, month_usd),
    )
    return min((max(Decimal(0), limit - cost) for limit, cost in sums if limit is not None), default=None)


def _health(memory: PodMemory) -> Health:
    """A person's own pod is never left for being slow."""
    if not memory.ours:
        return Health.WELL
    return Health.BROKEN if memory.faults >= _BROKEN else health(memory.ratios)
