"""A session with a fleet, told message by message: what provider, line and ComfyUI would answer is said by a test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from autopod_nb.models.job import JobState
from autopod_nb.models.offer import Offer
from autopod_nb.models.pod import PodState, may_bill
from autopod_nb.pods.fleet_estimate import Estimates, Run
from autopod_nb.pods.fleet_facts import Aim
from autopod_nb.session import commands, events
from autopod_nb.session.effects import BootPod, CreatePod, FetchResults, ReadRuns, StopAtProvider, TerminateAtProvider
from autopod_nb.session.fleet_state import FleetData, FleetPlan, Known
from autopod_nb.session.state import PodData
from tests.session.story import ADDRESS, Story, offer

JOB_S, BOOT_S = 60.0, 20.0


class FleetStory(Story):
    """Jobs of a minute and boots of twenty seconds, at a dollar a second, unless a test says otherwise."""

    def wish(
        self,
        max_pods: int = 3,
        *,
        aim: Aim = Aim.CHEAPEST,
        budget_usd: str | None = None,
        minutes: str | None = None,
        offers: Sequence[Offer] = (),
        batch: bool = True,
    ) -> None:
        """Say how many pods there may be, and let the ledger be read."""
        plan = FleetPlan(
            offers=tuple(offers) or (offer(),),
            max_pods=max_pods,
            aim=aim,
            budget_usd=None if budget_usd is None else Decimal(budget_usd),
            within_minutes=None if minutes is None else Decimal(minutes),
            session_limit_usd=self.limit_usd,
        )
        self.tell(commands.WishFleet(plan=plan, batch=batch))

    @property
    def fleet(self) -> FleetData:
        fleet = self.state.fleet
        assert fleet is not None, "no wish is in force"
        return fleet

    def read(self, *, job_s: float = JOB_S, boot_s: float = BOOT_S) -> None:
        """The ledger answers, if it was asked."""
        for effect in self.take(ReadRuns):
            runs = [Run(template=name, gpu="A40", size=1.0, seconds=job_s) for name in effect.templates]
            known = Known(templates=frozenset(effect.templates), estimates=Estimates(runs), boots={"A40": (boot_s,)})
            self.tell(events.RunsSeen(known=known))

    def wait_a_tick(self, seconds: float = 1.0, *, job_s: float = JOB_S, boot_s: float = BOOT_S) -> None:
        self.read(job_s=job_s, boot_s=boot_s)
        self.pass_time(seconds)
        self.read(job_s=job_s, boot_s=boot_s)

    def queue(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self.submit(job_id)
        self.wait_a_tick()

    def live(self) -> list[PodData]:
        """Pods that may bill, oldest first."""
        return [pod for pod in self.state.pods.values() if may_bill(pod.state) or pod.state is PodState.PLANNED]

    def come_up(self, pod_id: str) -> None:
        """From what was asked for to a pod that works."""
        self.take(CreatePod)
        if self.pod(pod_id).state is PodState.REQUESTED:
            self.tell(events.PodCreated(pod_id=pod_id, provider_id=f"id-{pod_id}"))
        self.take(BootPod)
        self.come_up_quietly(pod_id)

    def come_up_quietly(self, pod_id: str) -> None:
        """From a pod that was made to one that works; other effects stay as they are."""
        self.tell(events.PodAddressed(pod_id=pod_id, address=ADDRESS))
        self.tell(events.PodReady(pod_id=pod_id, local_port=8188, comfyui_version="0.12.1"))

    def confirm_ends(self) -> None:
        """The provider says that what was to end has ended."""
        for stop in self.take(StopAtProvider):
            self.tell(events.PodStopped(pod_id=stop.pod_id))
        for end in self.take(TerminateAtProvider):
            self.tell(events.PodTerminated(pod_id=end.pod_id))

    def work_off(self, pod_id: str, *, seconds: float = JOB_S) -> None:
        """The pod renders what it was given next, and the result comes here."""
        waiting = [job for job in map(self.job, self.pod(pod_id).active) if job.state is not JobState.COLLECTING]
        job_id = waiting[0].job_id
        if self.job(job_id).state is JobState.UPLOADING:
            self.upload(job_id)
            self.accept(job_id)
        self.start(job_id, pod_id)
        self.pass_time(seconds)
        self.over(job_id)
        self.take(FetchResults)
        self.fetched(job_id)
        self.read()


def other_offer(gpu: str, price: str, **changes: object) -> Offer:
    """An offer of another GPU."""
    return replace(offer(price), gpu_type=gpu, **changes)  # type: ignore[arg-type] # of an offer
