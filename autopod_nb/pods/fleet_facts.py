"""What the fleet rule goes by and what it answers: plain values, made by whoever asks. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

from autopod_nb.models.money import MoneyKind


class Aim(str, Enum):
    """What a person wants most."""

    CHEAPEST = "cheapest"
    FASTEST = "fastest within a budget"
    DEADLINE = "cheapest before a deadline"


class Health(str, Enum):
    """What is remembered of a pod."""

    WELL = "well"
    SLOW = "slow"
    BROKEN = "broken"


class Stage(str, Enum):
    """What a pod can be given just now."""

    BOOTING = "booting"
    READY = "ready"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetJob:
    """A job that waits.

    Attributes:
        job_id: its name.
        seconds: GPU → expected seconds there, without loading its models; it cannot run on a GPU that is not in it.
        model: what it loads; jobs of the same key find it loaded. Empty: nothing worth counting.
        load_s: expected seconds for that.
        upload_s: expected seconds until its inputs are on a pod.
        download_s: expected seconds until its results are here.
        min_vram_gb: memory that it needs.
        gpus: the only GPUs that it may run on; None for any.
        waited_s: since it was submitted.
    """

    job_id: str
    seconds: Mapping[str, float]
    model: str = ""
    load_s: float = 0.0
    upload_s: float = 0.0
    download_s: float = 0.0
    min_vram_gb: int = 0
    gpus: frozenset[str] | None = None
    waited_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPod:
    """A pod that bills.

    Attributes:
        pod_id: our id of it.
        gpu: a name that the jobs know.
        vram_gb: memory of one GPU.
        price_per_hour_usd: of the whole pod.
        stage: booting, ready, or on its way out.
        ready_in_s: expected seconds until it can work; see :func:`autopod_nb.pods.fleet_estimate.left_s`.
        given: jobs that it has, on the way up, in its queue or rendering; not those that come down.
        work_left_s: expected seconds until the last of them is rendered.
        model: what is loaded when it has done those.
        idle_s: for how long it has had nothing at all to do; 0 while it has.
        pace: seconds on it for each second on a usual pod of its GPU.
        health: a slow or broken one gets no more work.
        pinned: a person wants it: it is not ended for want of work.
    """

    pod_id: str
    gpu: str
    vram_gb: int
    price_per_hour_usd: Decimal
    stage: Stage
    ready_in_s: float = 0.0
    given: int = 0
    work_left_s: float = 0.0
    model: str = ""
    idle_s: float = 0.0
    pace: float = 1.0
    health: Health = Health.WELL
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOffer:
    """A kind of pod that could be started.

    Attributes:
        offer_id: names it for whoever asks.
        gpu: a name that the jobs know.
        vram_gb: memory of one GPU.
        price_per_hour_usd: of the whole pod, from the moment it is rented.
        boot_s: expected seconds until it can work.
        available: it is to be had.
    """

    offer_id: str
    gpu: str
    vram_gb: int
    price_per_hour_usd: Decimal
    boot_s: float
    available: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Everything at one moment. All money is of one kind.

    Attributes:
        jobs: those that wait, in order.
        pods: those that bill, oldest first.
        offers: what could be started.
        max_pods: as many may bill at the same time.
        aim: what is wanted most.
        budget_left_usd: what may still be spent, work that pods have already been given included; None for no limit.
        deadline_left_s: seconds until everything is to be done; for the aim DEADLINE.
        batch: no more jobs will come, so that a pod without work ends at once; otherwise it rests for a while.
        gaps_s: how long it took, the last times that nothing was left to do, until the next job came; newest last.
        depth: jobs that a pod may have at the same time, one of them rendering.
        kind: of the money, for the words.
    """

    jobs: tuple[FleetJob, ...]
    pods: tuple[FleetPod, ...]
    offers: tuple[FleetOffer, ...]
    max_pods: int
    aim: Aim = Aim.CHEAPEST
    budget_left_usd: Decimal | None = None
    deadline_left_s: float | None = None
    batch: bool = True
    gaps_s: tuple[float, ...] = ()
    depth: int = 2
    kind: MoneyKind = MoneyKind.REAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """Give a job to a pod. ``cost_usd``: of its expected time there; ``why``: one line for the person."""

    job_id: str
    pod_id: str
    cost_usd: Decimal
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Rent a pod. ``cost_usd``: of its boot and of the work that is planned for it; ``why``: one line."""

    offer_id: str
    cost_usd: Decimal
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Give a pod no more work, and end it as soon as what it has is here; at once if it has none. ``why``: one line."""

    pod_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A job that no pod gets as things stand. ``why``: one line for the person, with what would help."""

    job_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The answer.

    Attributes:
        assign: in the order in which each pod is to get them.
        start: one entry for each pod.
        end: pods that get no more work.
        unplaced: jobs that are not in the plan.
        cost_usd: what everything that is not over is expected to cost from now on.
        finish_s: expected seconds until everything in the plan is here.
    """

    assign: tuple[Assign, ...] = ()
    start: tuple[Start, ...] = ()
    end: tuple[End, ...] = ()
    unplaced: tuple[Unplaced, ...] = ()
    cost_usd: Decimal = Decimal(0)
    finish_s: float = 0.0
