"""What a person wishes of a fleet of pods, and what the session remembers of it: plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from autopod_nb.models.offer import Offer
from autopod_nb.pods.fleet_estimate import Estimates
from autopod_nb.pods.fleet_facts import Aim

_REST_S = (30.0, 60.0, 120.0, 240.0, 600.0)  # before an offer that failed is tried again; a guess


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRequest:
    """What a person asks for.

    Attributes:
        max_pods: as many may bill at the same time; None: as many as pay and need no yes.
        aim: what is wanted most.
        budget_usd: everything may cost that; None for no limit but those of the session.
        within_minutes: everything is to be done then; for the aim DEADLINE.
        yes: they may be so dear together that a person must say yes, and did.
    """

    max_pods: int | None = None
    aim: Aim = Aim.CHEAPEST
    budget_usd: Decimal | None = None
    within_minutes: Decimal | None = None
    yes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPlan:
    """As many pods as pay, of these kinds. Nothing is made by planning.

    Attributes:
        offers: what may be started; of each GPU one or more, the cheapest first.
        max_pods: as many may bill at the same time, those that were there before included.
        aim: what is wanted most.
        budget_usd: everything from now on may cost that; None for no limit but those of the session.
        within_minutes: everything is to be done then; for the aim DEADLINE.
        session_limit_usd: limit of the session, None for none.
        idle_minutes: a pod ends after this long without work at the latest.
        needs_yes: together they may be so dear that a person must say yes.
        notes: lines for the person.
    """

    offers: tuple[Offer, ...]
    max_pods: int
    aim: Aim = Aim.CHEAPEST
    budget_usd: Decimal | None = None
    within_minutes: Decimal | None = None
    session_limit_usd: Decimal | None = None
    idle_minutes: Decimal = Decimal(10)
    needs_yes: bool = False
    notes: tuple[str, ...] = ()

    @property
    def most_per_hour_usd(self) -> Decimal:
        """What all of them may cost an hour at most."""
        return max(offer.price_per_hour_usd for offer in self.offers) * self.max_pods


def offer_key(offer: Offer) -> str:
    """Names an offer among those of a plan."""
    return f"{offer.gpu_type} × {offer.gpu_count}, {offer.where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What earlier jobs and boots took.

    Attributes:
        templates: workflow templates that were looked up.
        estimates: of their rendering.
        loads: template → seconds until its models are loaded, on a pod that had others.
        ways: template → (seconds up, seconds down).
        boots: GPU → seconds of boots, oldest first.
    """

    templates: frozenset[str] = frozenset()
    estimates: Estimates = field(default_factory=lambda: Estimates(()))
    loads: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    ways: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))
    boots: Mapping[str, tuple[float, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMemory:
    """What is remembered of a pod.

    Attributes:
        ours: the rule started it, and may end it; any other pod is a person's.
        ratios: seconds ÷ expected seconds of what ran on it, oldest first.
        faults: attempts that failed on it in a row.
        template: what was rendered there last.
    """

    ours: bool = False
    ratios: tuple[float, ...] = ()
    faults: int = 0
    template: str = ""


@dataclass(frozen=True, slots=True)
class Avoided:
    """An offer that failed. ``until_s``: it is not tried before; ``weight``: how much speaks against it."""

    until_s: float
    weight: int

    @staticmethod
    def after(before: Avoided | None, now_s: float, weight: int) -> Avoided:
        """One more failure; several pods that were asked for at the same time count once."""
        if before is not None and now_s < before.until_s:
            return before
        sum_ = weight + (0 if before is None else before.weight)
        return Avoided(now_s + _REST_S[min(sum_, len(_REST_S)) - 1], sum_)


@dataclass(frozen=True, slots=True)
class Outgrown:
    """A job of this template and size (see ``job_size``) ran out of the memory of a GPU with so many GB."""

    template: str
    size: float
    vram_gb: int


@dataclass(frozen=True, slots=True)
class Stranded:
    """Jobs that no pod gets as things stand, and why, in words."""

    why: str
    job_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetData:
    """A wish that is in force, and what came of it so far.

    Attributes:
        plan: the wish.
        batch: it is over when no job is left.
        before_usd: what the session had cost, in this kind of money, when it was said.
        wished_s: when it was said last.
        ends_by_s: everything is to be done then; None without a deadline.
        number: pods started so far; their ids are made from it.
        known: what earlier runs took; None as long as the ledger was not read.
        reading: it is being read.
        read_s: when that began last.
        begun: there was a job; ``began_s``: when the first came, of all or after a pause.
        pods: pod id → what is remembered of it.
        avoided: offer → not to be tried just now.
        outgrown: what GPUs were too small for.
        empty_since_s: since when nothing is left to do, for a while; None while there is something.
        gaps_s: how long that took until the next job came, newest last.
        dirty: a job has come since the rule was asked.
        asked_s: when it was asked last.
        key: of the pods as they were then.
        stranded: jobs that it had no pod for.
        cost_usd: what it expected all that is not over to cost, and ``done_s``, when it expected that to be done.
    """

    plan: FleetPlan
    batch: bool
    before_usd: Decimal = Decimal(0)
    wished_s: float = 0.0
    ends_by_s: float | None = None
    number: int = 0
    known: Known | None = None
    reading: bool = False
    read_s: float = -math.inf
    begun: bool = False
    began_s: float = 0.0
    pods: Mapping[str, PodMemory] = field(default_factory=lambda: MappingProxyType({}))
    avoided: Mapping[str, Avoided] = field(default_factory=lambda: MappingProxyType({}))
    outgrown: tuple[Outgrown, ...] = ()
    empty_since_s: float | None = None
    gaps_s: tuple[float, ...] = ()
    dirty: bool = True
    asked_s: float = -math.inf
    key: tuple[object, ...] = ()
    stranded: tuple[Stranded, ...] = ()
    cost_usd: Decimal = Decimal(0)
    done_s: float | None = None

    def pod(self, pod_id: str) -> PodMemory:
        """What is remembered of a pod."""
        return self.pods.get(pod_id) or PodMemory()
