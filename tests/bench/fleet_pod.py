"""A pod of the simulation, and the bill of a day."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal

from autopod_nb.models.money import cost_usd
from autopod_nb.pods.fleet_facts import Stage
from tests.bench.fleet_days import DayJob, Fate, Kind


@dataclass(slots=True, eq=False)
class Work:
    """A job on a pod. ``since_s``: when it began to render; ``load_s``: what loading its model takes of that."""

    job: DayJob
    uploaded: bool = False
    since_s: float = math.inf
    load_s: float = 0.0


@dataclass(slots=True, eq=False, kw_only=True)
class Pod:
    """A pod.

    Attributes:
        pod_id: names it.
        kind: what it is.
        number: which of its GPU.
        fate: what befalls it.
        since_s: when it was rented.
        expected_s: to boot, as was known then; the first of many that are ready say little of the others.
        queue: jobs that it has; the first renders once it is uploaded.
        coming: job id → job that is rendered and on its way here.
        model: what is loaded.
        idle_since_s: since when it has had nothing to do; None while it has.
        ran: jobs that it rendered, with the seconds that they took.
    """

    pod_id: str
    kind: Kind
    number: int
    fate: Fate
    since_s: float
    expected_s: float
    stage: Stage = Stage.BOOTING
    queue: deque[Work] = field(default_factory=deque)
    coming: dict[str, DayJob] = field(default_factory=dict)
    upload_free_s: float = 0.0
    download_free_s: float = 0.0
    model: str = ""
    idle_since_s: float | None = None
    ran: list[tuple[DayJob, float]] = field(default_factory=list)
    boot_s: float = 0.0
    work_s: float = 0.0
    load_s: float = 0.0
    gone_s: float | None = None

    @property
    def has_work(self) -> bool:
        """Whether something is on it that is not here."""
        return bool(self.queue or self.coming)

    def billed_s(self, now_s: float) -> float:
        """Seconds that are paid for."""
        return (now_s if self.gone_s is None else self.gone_s) - self.since_s

    def usd(self, now_s: float) -> Decimal:
        """What it has cost."""
        return cost_usd(self.kind.price_per_hour_usd, Decimal(str(round(self.billed_s(now_s), 3))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a day went.

    Attributes:
        cost_usd: the bill.
        finish_s: when the last result was here.
        done: jobs whose results are here.
        most_pods: how many billed at the same time.
        billed_s: pod seconds; ``boot_s``, ``work_s`` and ``load_s`` (loading models) are of them.
        waits_s: from arrival to result, of each job.
        started: GPUs of the pods, in order.
        worked: (GPU, which of it) of those that rendered something.
        asked: how often the rule was asked.
    """

    cost_usd: Decimal
    finish_s: float
    done: int
    most_pods: int
    billed_s: float
    boot_s: float
    work_s: float
    load_s: float
    waits_s: tuple[float, ...]
    started: tuple[str, ...]
    worked: tuple[tuple[str, int], ...]
    asked: int

    @property
    def idle_s(self) -> float:
        """Billed seconds in which a pod neither booted nor rendered; ComfyUI loads models as part of a job."""
        return self.billed_s - self.boot_s - self.work_s - self.load_s
