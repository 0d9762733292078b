"""What the reducer wants done, as plain values. ``session/lanes.py`` says who does it, ``session/work.py`` how."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from autopod_nb.comfyui.workflow import WorkflowTemplate
from autopod_nb.models.event import PromptResult
from autopod_nb.models.job import JobSpec, RemoteFile
from autopod_nb.models.money import MoneyKind
from autopod_nb.models.offer import Offer, OfferQuery
from autopod_nb.models.pod import PodAddress
from autopod_nb.pods.guard import GuardWish
from autopod_nb.session.events import Message
from autopod_nb.storage.ledger import LedgerWrite


@dataclass(frozen=True, slots=True, kw_only=True)
class AskOffers:
    """Ask the provider what it has."""

    query: OfferQuery
    reply: Future[tuple[Offer, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLogs:
    """Bring the last lines of a log; ``provider_id`` None: ComfyUI's, else the pod's own."""

    pod_id: str
    provider_id: str | None
    lines: int
    reply: Future[tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAtGpu:
    """Ask a pod how busy its GPUs are."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TellWritten:
    """Say that everything before this is written, or was refused."""

    reply: Future[None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmWatchdog:
    """Start the watchdog on a pod."""

    pod_id: str
    wish: GuardWish


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatWatchdog:
    """Tell the watchdog on a pod that somebody cares, and what it is to go by."""

    pod_id: str
    wish: GuardWish


@dataclass(frozen=True, slots=True)
class KeepReaper:
    """See that the process lives which ends pods when this one is gone."""


@dataclass(frozen=True, slots=True)
class CheckAccount:
    """Look what the account has left, and whether it has pods that no ledger of ours knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteLedger:
    """Write these rows, all or none, then tell ``then``."""

    writes: tuple[LedgerWrite, ...]
    then: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePod:
    """Rent it; its intent is in the ledger."""

    pod_id: str
    name: str
    offer: Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPod:
    """Wait for the address, open the line, wait for ComfyUI, open the socket; *start* a stopped pod first."""

    pod_id: str
    provider_id: str
    within_minutes: Decimal
    start: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptPod:
    """Open the lines to a pod that another process rented, and follow the prompts that it left there.

    ``provider_id`` None: it is looked up by its name, for its rental may never have been answered.
    """

    pod_id: str
    name: str
    provider_id: str | None
    prompt_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EndForeignPod:
    """Tell the provider to end another process's pod."""

    pod_id: str
    provider_id: str
    stop: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateStranger:
    """Tell the provider to end a pod that the ledger does not know."""

    provider_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollCommands:
    """Look what other processes ask of the owner of these pods."""

    pod_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSpent:
    """Read what the day and the month have cost; ``ours_usd``: what this session has booked by now."""

    ours_usd: Mapping[MoneyKind, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRuns:
    """Read what earlier jobs of these templates took, and boots; the names are those that jobs give the templates."""

    templates: Mapping[str, WorkflowTemplate]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReopenLine:
    """Open the lost SSH line and the tunnel again, or find out from the provider that the pod is gone."""

    pod_id: str
    provider_id: str
    address: PodAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLine:
    """Close socket, tunnel and SSH, and abort what goes on there."""

    pod_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopAtProvider:
    """Stop it, until that is sure."""

    pod_id: str
    provider_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminateAtProvider:
    """Terminate it, until that is sure. ``provider_id`` None: it is looked up by the name that we gave it."""

    pod_id: str
    provider_id: str | None
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadInputs:
    """Send the inputs that the pod does not have yet."""

    pod_id: str
    spec: JobSpec
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopUpload:
    """Nobody wants these inputs any more."""

    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitPrompt:
    """Fill the template and post it. ``names``: (input, ComfyUI's name of the file)."""

    pod_id: str
    spec: JobSpec
    template: WorkflowTemplate
    attempt: int
    prompt_id: str
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelPrompt:
    """Take exactly this prompt out of the queue, or interrupt it."""

    pod_id: str
    job_id: str
    attempt: int
    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchResults:
    """Read the history entry, unless it is here already, and bring its files here, whole."""

    pod_id: str
    spec: JobSpec
    template: WorkflowTemplate
    attempt: int
    prompt_id: str
    result: PromptResult | None
    made: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetPrompt:
    """The monitor need not look for this prompt any more."""

    pod_id: str
    prompt_id: str


Effect: TypeAlias = (
    AskOffers
    | FetchLogs
    | TellWritten
    | LookAtGpu
    | ArmWatchdog
    | BeatWatchdog
    | KeepReaper
    | CheckAccount
    | WriteLedger
    | CreatePod
    | BootPod
    | AdoptPod
    | EndForeignPod
    | TerminateStranger
    | PollCommands
    | ReadSpent
    | ReadRuns
    | ReopenLine
    | DropLine
    | StopAtProvider
    | TerminateAtProvider
    | UploadInputs
    | SubmitPrompt
    | CancelPrompt
    | FetchResults
    | ForgetPrompt
    | StopUpload
)
