"""What the session knows: frozen, and changed only by the reducer."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.event import PromptFault
from autopod_nb.models.job import JobSpec, JobState, RemoteFile, ResultFile
from autopod_nb.models.money import MoneyKind, Spent
from autopod_nb.models.offer import Offer
from autopod_nb.models.pod import PodAddress, PodState
from autopod_nb.models.rate import Transfer
from autopod_nb.models.snapshot import GpuUse, Notice
from autopod_nb.pods.limits import LimitLevel
from autopod_nb.pods.meter import Meter
from autopod_nb.session.events import Moment
from autopod_nb.session.fleet_state import FleetData
from autopod_nb.session.progress import Track
from autopod_nb.storage.rows import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that the reducer goes by; see :class:`autopod_nb.config.Settings`.

    Attributes:
        session_id: names this session in the ledger.
        owner: this process, for the owner lease.
        stuck_minutes: a job without progress is reported after this.
        boot_minutes: a pod that is not ready after this is given up.
        can_stop: a pod can be stopped and keeps what is on it.
        outlives: pods bill on when every process of ours is gone.
        watchdog: there is one on each pod.
        pod_limit_usd: a pod ends here; None for no limit.
        day_limit_usd: all sessions of a UTC day together end here; None for no limit.
        month_limit_usd: likewise those of a UTC month.
        depth: jobs that a pod has at the same time, one of them rendering: the next is there before the GPU is free.
        attempts: how often a job is tried when its pod or server dies.
    """

    session_id: str
    owner: Owner
    stuck_minutes: Decimal
    boot_minutes: Decimal
    can_stop: bool = True
    outlives: bool = False
    watchdog: bool = False
    pod_limit_usd: Decimal | None = None
    day_limit_usd: Decimal | None = None
    month_limit_usd: Decimal | None = None
    depth: int = 2
    attempts: int = 2


class Ending(str, Enum):
    """How a pod is to end."""

    DRAIN = "finish, fetch, end"
    NOW = "end now"
    KILL = "terminate"


class WhyCancel(str, Enum):
    """Why a job is being ended early."""

    PERSON = "cancelled"
    LIMIT = "limit"
    TIMEOUT = "time-out"
    POD = "pod"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodData:
    """One pod.

    ``session_id``: of the session that rented it. ``active``: jobs that it has taken and that are not over;
    ``idle_since_s`` None while it has any.
    """

    pod_id: str
    name: str
    offer: Offer
    session_id: str
    idle_minutes: Decimal
    ends_after_batch: bool
    requested: Moment
    state: PodState = PodState.PLANNED
    provider_id: str | None = None
    address: PodAddress | None = None
    local_port: int | None = None
    phase: str = "planned"
    active: tuple[str, ...] = ()
    idle_since_s: float | None = None
    lost_since_s: float | None = None
    silent_since_s: float | None = None  # since when ComfyUI does not answer
    silence_told: bool = False
    rest_until_s: float = 0.0  # a step failed for its line: it gets nothing until it is known what becomes of that
    meter: Meter = field(default_factory=Meter)
    spent_usd: Decimal = Decimal(0)
    limit_usd: Decimal | None = None  # it ends here
    limit: LimitLevel = LimitLevel.FINE
    ending: Ending | None = None
    ends_by_s: float | None = None  # a limit is reached: it ends then at the latest
    end_retry_s: float | None = None  # when a stop or a termination that failed is tried again
    detached: bool = False
    error: str = ""
    gpu_use: GpuUse | None = None
    armed: bool | None = None  # whether a watchdog on the pod ends it when we are gone; None as long as unknown
    guard: str = ""  # what is known of that watchdog, in words
    boot_since_s: float | None = None  # when it was started again; None: it boots since it was requested
    has_gpu_figures: bool = True  # until it is known that it has none
    fallbacks: tuple[Offer, ...] = ()  # what is tried in its place when it does not come up
    choice: int = 1  # 1 for the first that was tried, 2 for the one in its place
    replace: bool = False  # it did not come up: when it is gone, the next is tried
    successor: str | None = None  # the pod in its place


@dataclass(frozen=True, slots=True, kw_only=True)
class JobData:
    """One job.

    ``session_id`` is that of the session that took it first. ``uid`` and the attempt make the prompt id, so that it is
    known before anything is posted.
    """

    spec: JobSpec
    template: WorkflowTemplate
    uid: str
    prompt_id: str
    session_id: str
    pod_wish: str | None
    submitted: Moment
    usual_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))  # GPU → seconds of earlier runs
    frame_nodes: tuple[str, ...] = ()  # of the template, kept because each snapshot counts them
    state: JobState = JobState.QUEUED
    recorded: bool = False
    attempt: int = 1
    uncounted: int = 0  # attempts that do not count: the line broke on their way up, or their spot pod was taken
    pod_id: str | None = None
    taken: Moment | None = None
    posted: bool = False
    progress_s: float = 0.0  # when something moved last
    transfer: Transfer | None = None  # of its inputs or its results, while they are on their way
    track: Track = field(default_factory=Track)
    kind: MoneyKind | None = None
    spent_usd: Decimal = Decimal(0)
    cancel: WhyCancel | None = None
    cancel_text: str = ""
    cancel_s: float = 0.0
    limit: LimitLevel = LimitLevel.FINE
    retry_s: float | None = None  # when fetching is tried again
    retries: int = 0
    made: tuple[RemoteFile, ...] = ()  # what its nodes told of, for a server that forgets it
    results: tuple[ResultFile, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    error: str = ""
    fault: PromptFault | None = None
    warning: str = ""
    preview_type: str = ""
    preview: bytes = field(default=b"", repr=False)
    over_s: float | None = None

    @property
    def job_id(self) -> str:
        """Its name."""
        return self.spec.job_id


def make_prompt_id(uid: str, attempt: int) -> str:
    """ComfyUI's name for an attempt: a lower-case UUID, as newer servers demand."""
    return str(uuid.uuid5(uuid.UUID(uid), str(attempt)))


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionState:
    """Everything.

    Attributes:
        rules: what it goes by.
        limit_usd: limit of the session, for real and for simulated money each by itself.
        pods: pod id → pod, oldest first.
        jobs: job id → job, in order of submission.
        queue: jobs that wait for a pod, in order.
        prompts: prompt id → job id, of jobs that are not over.
        spent_usd: money kind → charges so far.
        limits: (money kind, which limit) → how near it is, so that each warning comes once.
        reaper: whether the process runs that ends pods when this one is gone; None as long as none is needed.
        ledger_usd: money kind → what the ledger held when it was last read.
        strangers: names of pods that bill on the account and that the ledger does not know, as last seen.
        notices: lines for the person, newest last.
        fleet: as many pods as pay are started and ended; None: a person starts and ends them.
    """

    rules: Rules
    limit_usd: Decimal | None
    pods: Mapping[str, PodData] = field(default_factory=lambda: MappingProxyType({}))
    jobs: Mapping[str, JobData] = field(default_factory=lambda: MappingProxyType({}))
    queue: tuple[str, ...] = ()
    prompts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    spent_usd: Mapping[MoneyKind, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    limits: Mapping[tuple[MoneyKind, str], LimitLevel] = field(default_factory=lambda: MappingProxyType({}))
    reaper: bool | None = None
    ledger_usd: Mapping[MoneyKind, Spent] = field(default_factory=lambda: MappingProxyType({}))
    strangers: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    fleet: FleetData | None = None
