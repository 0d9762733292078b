"""What faces ask of the session, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.job import JobSpec
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.session.fleet_state import FleetPlan
from autopod_nb.storage.rows import JobRow, PodRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRequest:
    """What a person asks for. None means: as the settings say.

    Attributes:
        provider: name of the provider.
        gpu: as people say it; None for the preferences in their order.
        gpu_count: GPUs in the pod.
        session_limit_usd: the session stops here.
        idle_minutes: the pod ends after this long without work.
        min_vram_gb: memory that each GPU must have.
        cloud: ``secure`` or ``community``.
        region: a place, or the beginning of one.
        cuda: oldest CUDA version that the machine must run.
        spot: at the lower price at which the pod may be taken away.
        max_price_per_hour_usd: no pod that costs more.
        image: container image.
        template: the provider's image preset.
        disk_gb: container disk.
        volume_gb: volume of the pod.
        network_volume: id of a network volume.
        pods: so many of them.
    """

    provider: str | None = None
    gpu: str | None = None
    gpu_count: int | None = None
    session_limit_usd: Decimal | None = None
    idle_minutes: Decimal | None = None
    min_vram_gb: int | None = None
    cloud: str | None = None
    region: str | None = None
    cuda: str | None = None
    spot: bool = False
    max_price_per_hour_usd: Decimal | None = None
    image: str | None = None
    template: str | None = None
    disk_gb: int | None = None
    volume_gb: int | None = None
    network_volume: str | None = None
    pods: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlan:
    """What would be rented. Nothing is made by planning.

    Attributes:
        request: what was asked.
        offer: what would be rented, as many times as was asked for.
        fallbacks: what is tried next, in order, when that is not to be had or does not come up.
        session_limit_usd: limit of the session, None for none.
        idle_minutes: the pod ends after this long without work.
        needs_yes: it is so dear that a person must say yes.
        notes: lines for the person, for example which wish could not be met.
    """

    request: PodRequest
    offer: Offer
    session_limit_usd: Decimal | None
    idle_minutes: Decimal
    needs_yes: bool
    notes: tuple[str, ...] = ()
    fallbacks: tuple[Offer, ...] = ()

    @property
    def label(self) -> str:
        """What would be rented, for a person: ``A40 × 1``, ``3 pods of A40 × 1``."""
        return label_of(self.offer, self.request.pods)

    @property
    def price_per_hour_usd(self) -> Decimal:
        """Of all of its pods together."""
        return self.offer.price_per_hour_usd * self.request.pods


def label_of(offer: Offer, pods: int) -> str:
    """So many pods of an offer, for a person."""
    return offer.label if pods == 1 else f"{pods} pods of {offer.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindOffers:
    """Ask the provider what it has; the answer goes into ``reply``."""

    query: OfferQuery
    reply: Future[tuple[Offer, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLogs:
    """Ask a pod for the last lines of its ComfyUI's log, or the provider for those of the pod's own."""

    pod_id: str
    lines: int
    of_pod: bool
    reply: Future[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskBooks:
    """Say when everything that has happened so far is in the ledger."""

    reply: Future[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """Rent what the plan says, under this id and name."""

    pod_id: str
    pod_name: str
    plan: PodPlan
    ends_after_batch: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WishFleet:
    """Start and end pods as it pays from now on; with ``batch`` until no job is left."""

    plan: FleetPlan
    batch: bool


@dataclass(frozen=True, slots=True)
class DropFleet:
    """Start no more pods by oneself; those that are there end by their own rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Take a job that was checked.

    ``uid`` makes its prompt ids; ``pod_id`` None: any pod; ``usual_s``: GPU → seconds that earlier runs took.
    """

    usual_s: Mapping[str, float]
    spec: JobSpec
    template: WorkflowTemplate
    uid: str
    pod_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedPod:
    """A pod that another process rented, as the ledger knows it.

    Attributes:
        row: the ledger's.
        offer: what was rented.
        idle_minutes: from now on.
        charged_until: end of its last charge, UTC: it is booked on from there; None if it has none.
        spent_usd: its charges so far.
        stale_before: its owner was last heard of before that, UTC.
        limit_usd: it ends when it has cost that: what the session that rented it had left; None for no limit.
        ends_after_batch: it ends as soon as no job needs it.
    """

    row: PodRow
    offer: Offer
    idle_minutes: Decimal
    charged_until: datetime | None
    spent_usd: Decimal
    stale_before: datetime
    limit_usd: Decimal | None = None
    ends_after_batch: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedJob:
    """A job that is not over, as the ledger knows it.

    ``uid`` makes the prompt ids of further attempts; ``usual_s``: GPU → seconds that earlier runs took.
    """

    row: JobRow
    template: WorkflowTemplate
    uid: str
    spent_usd: Decimal
    usual_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt:
    """Take over a pod whose owner is gone, with its jobs."""

    pod: AdoptedPod
    jobs: tuple[AdoptedJob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumePod:
    """Start a stopped pod again, fetch the results that are on it, and end it."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndForeign:
    """End a pod that another process owns, which is asked through the ledger; with *now* the provider is told, too."""

    pod_id: str
    provider_id: str
    verb: str
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EndStranger:
    """End a pod of the account that the ledger does not know."""

    provider_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """End this job and no other."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPod:
    """Take no more work, finish what runs (or not, with ``now``), fetch, end."""

    pod_id: str
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KillPod:
    """Terminate, whatever it does."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DetachPod:
    """Let it run when the session closes."""

    pod_id: str


@dataclass(frozen=True, slots=True)
class CloseSession:
    """End what bills, but for detached pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepWaiting:
    """The person has seen that the job is stuck and gives it the same time again."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepAlive:
    """Begin the idle countdown of a pod anew."""

    pod_id: str


Command: TypeAlias = (
    FindOffers
    | ReadLogs
    | AskBooks
    | Connect
    | WishFleet
    | DropFleet
    | Adopt
    | EndForeign
    | EndStranger
    | ResumePod
    | Submit
    | Cancel
    | StopPod
    | KillPod
    | DetachPod
    | CloseSession
    | KeepWaiting
    | KeepAlive
)
