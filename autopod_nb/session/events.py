"""What lanes, monitors and the clock tell the session, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from autopod_nb.comfyui.monitor_events import MonitorEvent
from autopod_nb.models.money import MoneyKind, Spent
from autopod_nb.models.pod import ObservedState, PodAddress
from autopod_nb.models.snapshot import GpuUse
from autopod_nb.session.commands import AdoptedJob, AdoptedPod, Command
from autopod_nb.session.fleet_state import Known
from autopod_nb.session.job_events import JobStepEvent


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on both clocks: ``at`` UTC for the books, ``s`` monotonic seconds for lengths."""

    at: datetime
    s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A second has passed. ``number`` counts them."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentWritten:
    """The ledger holds the pod's name: now it may be made."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCreated:
    """The provider made it. ``price_per_hour_usd``: by its own word, None if it did not say."""

    pod_id: str
    provider_id: str
    price_per_hour_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPriced:
    """What the pod costs since it was started again, by the provider's word."""

    pod_id: str
    price_per_hour_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PodNotCreated:
    """It is sure that nothing was made. ``another_may_do``: for want of capacity, so that another offer may do."""

    pod_id: str
    why: str
    another_may_do: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOwned:
    """The ledger says that a pod which we take over is ours now."""

    pod: AdoptedPod
    jobs: tuple[AdoptedJob, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAdopted:
    """The lines to a pod that was taken over stand."""

    pod_id: str
    provider_id: str
    address: PodAddress
    local_port: int
    comfyui_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignEnded:
    """What the provider said to the end of another process's pod; ``why`` is empty if it agreed."""

    pod_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StrangerEnded:
    """What the provider said to the end of a pod that the ledger does not know; ``why`` is empty if it agreed."""

    provider_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSeen:
    """How busy its GPUs are; None: it cannot tell, and need not be asked again."""

    pod_id: str
    use: GpuUse | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOpened:
    """There is a line to the pod."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodGuarded:
    """What is known of the watchdog on the pod. ``armed``: it runs; ``can_act``: the pod's key may end the pod."""

    pod_id: str
    armed: bool
    can_act: bool | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaperSeen:
    """Whether the process runs that ends pods when this one is gone."""

    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSeen:
    """What the account has. ``strangers``: names of pods that bill there and that the ledger does not know."""

    balance_usd: Decimal | None
    spend_per_hour_usd: Decimal | None
    strangers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPhase:
    """What a booting pod does, in words."""

    pod_id: str
    phase: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAddressed:
    """Its SSH address is known."""

    pod_id: str
    address: PodAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class PodReady:
    """SSH, tunnel, ComfyUI and socket stand."""

    pod_id: str
    local_port: int
    comfyui_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodBootFailed:
    """It never became usable."""

    pod_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineLost:
    """The SSH line is down."""

    pod_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineBack:
    """The SSH line and the tunnel stand again."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodObserved:
    """The provider says how the pod is, after the line was lost."""

    pod_id: str
    state: ObservedState
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStopped:
    """The provider confirmed the stop."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodTerminated:
    """The provider confirmed the end."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StillBilling:
    """A stop or a termination did not work yet; it is tried again."""

    pod_id: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodMessage:
    """Something that the pod's ComfyUI told."""

    pod_id: str
    event: MonitorEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost:
    """The ledger refused to renew our lease. ``taken``: another process owns the pod; else nobody does."""

    pod_id: str
    taken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFailed:
    """The ledger could not be written."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentSeen:
    """What the ledger holds of each kind of money, of this and all other sessions."""

    spent: Mapping[MoneyKind, Spent]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsSeen:
    """What earlier jobs and boots took, as the ledger has it; None: it cannot be read."""

    known: Known | None


Event: TypeAlias = (
    Tick
    | SpentSeen
    | RunsSeen
    | SshOpened
    | PodGuarded
    | ReaperSeen
    | AccountSeen
    | IntentWritten
    | PodCreated
    | PodPriced
    | PodNotCreated
    | PodOwned
    | PodAdopted
    | ForeignEnded
    | StrangerEnded
    | GpuSeen
    | PodPhase
    | PodAddressed
    | PodReady
    | PodBootFailed
    | LineLost
    | LineBack
    | PodObserved
    | PodStopped
    | PodTerminated
    | StillBilling
    | PodMessage
    | JobStepEvent
    | LeaseLost
    | LedgerFailed
)
Message: TypeAlias = Command | Event
