"""What faces see: frozen views of the session, made by the session thread after each event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import MappingProxyType

from autopod_nb.models.event import PromptFault
from autopod_nb.models.fleet import FleetView
from autopod_nb.models.job import JobState, JsonValue, ResultFile, job_is_over
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.pod import PodState, is_over
from autopod_nb.models.rate import Transfer


class Level(str, Enum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One line for the person, with what to do.

    Attributes:
        level: how much it matters.
        text: one sentence or two.
        at: UTC.
        pod_id: which pod it is about, if one.
        job_id: which job, if one.
    """

    level: Level
    text: str
    at: datetime
    pod_id: str | None = None
    job_id: str | None = None


class AlertKind(str, Enum):
    """What is wrong, as long as it is. Its value is a word for machines, its title those for a person."""

    LIMIT = "limit"
    STUCK = "stuck"
    BOOT_LONG = "boot_long"
    UNARMED = "unarmed"
    STRANGER = "stranger"
    NO_POD = "no_pod"
    UNSAVED = "unsaved"

    @property
    def title(self) -> str:  # type: ignore[override]  # nobody wants a word's own capital letters of a kind
        """Its heading, without a full stop."""
        return _ALERT_TITLES[self]


_ALERT_TITLES = {
    AlertKind.LIMIT: "Limit is near",
    AlertKind.STUCK: "No progress",
    AlertKind.BOOT_LONG: "Boot takes long",
    AlertKind.UNARMED: "No watchdog",
    AlertKind.STRANGER: "Unknown pods",
    AlertKind.NO_POD: "No pod for some jobs",
    AlertKind.UNSAVED: "Results not here yet",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A warning that stands as long as its cause does; a notice is said once, and stays.

    Attributes:
        kind: what is wrong.
        level: how urgent it is: a warning or an error.
        text: one sentence or two, with what to do.
        key: the same for the same cause, so that a panel can keep its card.
        pod_id: which pod it is about, if one.
        job_id: which job, if one.
        grants_minutes: of a stuck job: how long *wait on* waits before it warns again.
    """

    kind: AlertKind
    level: Level
    text: str
    key: str
    pod_id: str | None = None
    job_id: str | None = None
    grants_minutes: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """How busy the GPUs of a pod are.

    Attributes:
        percent: mean over its GPUs, 0 to 100; None if it cannot be told.
        memory_used_gb: of all its GPUs together.
        memory_total_gb: the same.
    """

    percent: float | None
    memory_used_gb: float
    memory_total_gb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """A pod as a person sees it.

    Attributes:
        pod_id: our id, short; the argument of `stop` and `kill`.
        name: unique name that the provider knows.
        provider: name of the provider.
        gpu_type: GPU.
        gpu_count: GPUs.
        state: where it is.
        phase: what it does just now, in words.
        kind: real or simulated money.
        price_per_hour_usd: while it runs.
        cost_usd: so far.
        local_port: of the tunnel to ComfyUI, None as long as there is none.
        age_s: since it was requested.
        idle_left_s: until the idle rule ends it; None while it works or boots.
        job_id: the job it works on.
        unsaved: jobs whose results are not here yet.
        ends_after_batch: it ends by itself when its jobs are done.
        detached: it stays when the session closes.
        error: why it ended, empty if nothing went wrong.
        gpu_use: how busy its GPUs are; None if it cannot be told.
        where: cloud and place, empty if there is nothing to say.
        successor: the pod that was rented in its place when it did not come up.
        armed: whether a watchdog on the pod ends it when everything of ours is gone; None if it has none or that is
            not known yet.
        guard: what is known of that watchdog, in words.
        boot_s: seconds since it began to boot; None before and after that.
        ending: it drains, or it is being stopped or terminated: it takes no more work.
        bills: it may cost something just now: until the provider was asked again and said that it does not.
        storage_only: what it may cost is no more than its storage: the provider took the stop.
    """

    pod_id: str
    name: str
    provider: str
    gpu_type: str
    gpu_count: int
    state: PodState
    phase: str
    kind: MoneyKind
    price_per_hour_usd: Decimal
    cost_usd: Decimal
    local_port: int | None = None
    age_s: float = 0.0
    idle_left_s: float | None = None
    job_id: str | None = None
    unsaved: int = 0
    ends_after_batch: bool = False
    detached: bool = False
    error: str = ""
    gpu_use: GpuUse | None = None
    where: str = ""
    successor: str | None = None
    armed: bool | None = None
    guard: str = ""
    boot_s: float | None = None
    ending: bool = False
    bills: bool = True
    storage_only: bool = False

    @property
    def over(self) -> bool:
        """Whether it is gone."""
        return is_over(self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is.

    Attributes:
        percent: of the whole workflow, 0 to 100; None when nothing is known (a stream that was cut).
        node_id: the node that runs, empty if none.
        node_title: its name for a person.
        step: of that node's own bar, 0 if it has none.
        steps: length of that bar, 0 if it has none.
        frames_done: frames made so far, 0 if the workflow does not count frames.
        frames: frames in all, 0 if the workflow does not count frames.
        rate_per_s: frames a second, or steps a second of the node; None as long as it cannot be told.
        left_s: estimate of the seconds left; None as long as it cannot be told.
        left_low_s: the least that may be left, at most ``left_s``; None if that is.
        left_high_s: the most that may be left, at least ``left_s``; None if that is.
    """

    percent: float | None = 0.0
    node_id: str = ""
    node_title: str = ""
    step: float = 0
    steps: float = 0
    frames_done: int = 0
    frames: int = 0
    rate_per_s: float | None = None
    left_s: float | None = None
    left_low_s: float | None = None
    left_high_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as a person sees it.

    Attributes:
        job_id: the name that `wait` and `cancel` take.
        template: name of its workflow template.
        state: where it is.
        attempt: from 1.
        pod_id: where it runs or ran.
        prompt_id: ComfyUI's name for it.
        progress: how far it is.
        transfer: how far its inputs or its results are, while they are on their way.
        kind: real or simulated money; None as long as it has no pod.
        cost_usd: so far.
        expected_cost_usd: at its end, None as long as it cannot be told.
        max_cost_usd: its limit.
        elapsed_s: since a pod took it.
        results: files that are here.
        texts: (output node id, text) that nodes showed.
        error: one line, empty if nothing went wrong.
        fault: the node that failed, with its traceback.
        warning: one line, empty if there is none.
        swept: what sets it apart from the other jobs of its sweep: name → value; empty if it is of none.
        preview_type: media type of the newest preview, empty if there is none.
        preview: the newest preview picture.
    """

    job_id: str
    template: str
    state: JobState
    attempt: int = 1
    pod_id: str | None = None
    prompt_id: str | None = None
    progress: Progress = Progress()
    transfer: Transfer | None = None
    kind: MoneyKind | None = None
    cost_usd: Decimal = Decimal(0)
    expected_cost_usd: Decimal | None = None
    max_cost_usd: Decimal | None = None
    elapsed_s: float = 0.0
    results: tuple[ResultFile, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    error: str = ""
    fault: PromptFault | None = None
    warning: str = ""
    swept: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    preview_type: str = ""
    preview: bytes = field(default=b"", repr=False)

    @property
    def over(self) -> bool:
        """Whether it has its end state."""
        return job_is_over(self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole session at one moment.

    Attributes:
        number: grows with each snapshot.
        at: UTC.
        pods: our pod id → view, oldest first.
        jobs: job id → view, in order of submission.
        cost_usd: money kind → what this session has cost so far.
        limit_usd: limit of the session, for each kind by itself; None for none.
        notices: newest last, at most the last hundred.
        reaper: whether the process runs that ends pods when this one is gone; None as long as none is needed.
        today_usd: money kind → what all sessions of this ledger have spent on this UTC day.
        day_limit_usd: limit of that, for each kind by itself; None for none.
        forecast_usd: money kind → what this session will have cost when its queue is done, as far as it can be told.
        forecast_complete: every job that is not over is in the forecast; else it is the least that there will be.
        alerts: what is wrong just now, the most urgent first; each goes when its cause has gone.
        fleet: pods are started and ended as it pays; None if only a person does that.
    """

    number: int
    at: datetime
    pods: Mapping[str, PodView] = field(default_factory=lambda: MappingProxyType({}))
    jobs: Mapping[str, JobView] = field(default_factory=lambda: MappingProxyType({}))
    cost_usd: Mapping[MoneyKind, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    limit_usd: Decimal | None = None
    notices: tuple[Notice, ...] = ()
    reaper: bool | None = None
    today_usd: Mapping[MoneyKind, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    day_limit_usd: Decimal | None = None
    forecast_usd: Mapping[MoneyKind, Decimal] = field(default_factory=lambda: MappingProxyType({}))
    forecast_complete: bool = True
    alerts: tuple[Alert, ...] = ()
    fleet: FleetView | None = None

    @property
    def price_per_hour_usd(self) -> Mapping[MoneyKind, Decimal]:
        """Money kind → what runs now costs an hour."""
        sums: dict[MoneyKind, Decimal] = {}
        for pod in self.pods.values():
            if not pod.over and pod.state is not PodState.STOPPED:
                sums[pod.kind] = sums.get(pod.kind, Decimal(0)) + pod.price_per_hour_usd
        return MappingProxyType(sums)
