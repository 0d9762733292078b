"""What is read from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from autopod_nb.models.job import JobSpec, JobState, JsonValue, RemoteFile, ResultFile
from autopod_nb.models.money import Charge, MoneyKind
from autopod_nb.models.pod import PodState
from autopod_nb.storage.columns import files_from_json, spec_from_json


class Role(str, Enum):
    """What kind of process owns a pod."""

    KERNEL = "kernel"
    REAPER = "reaper"
    TERMINAL = "terminal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A process that may own pods.

    Attributes:
        owner_id: unique for each session of each process, never used again.
        role: what kind of process.
        host: its machine.
        pid: its process id there.
    """

    owner_id: str
    role: Role
    host: str
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who owns a pod, and when that process last said so (UTC)."""

    owner: Owner
    renewed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRow:
    """A pod in the ledger.

    Attributes:
        pod_id: our short id.
        name: unique name that the provider knows.
        session_id: session that asked for it.
        provider: name of the provider.
        provider_id: the provider's own id; None until create has answered.
        gpu_type: GPU.
        gpu_count: GPUs.
        price_per_hour_usd: of the whole pod, running.
        stopped_price_per_hour_usd: of the whole pod, stopped.
        kind: real or simulated money.
        state: the last one written.
        error: why it ended, empty if nothing went wrong.
        created: when the intent was written, UTC.
        updated: last change, UTC.
        lease: its owner; None when nobody owns it.
        session_limit_usd: where the session that asked for it was to stop; None for no limit.
        idle_minutes: it was to end after this long without work; None if that is not known.
        place: cloud and place in words, empty if there is nothing to say.
        detached: a person wants it to go on without its session.
    """

    pod_id: str
    name: str
    session_id: str
    provider: str
    provider_id: str | None
    gpu_type: str
    gpu_count: int
    price_per_hour_usd: Decimal
    stopped_price_per_hour_usd: Decimal
    kind: MoneyKind
    state: PodState
    error: str
    created: datetime
    updated: datetime
    lease: Lease | None
    session_limit_usd: Decimal | None = None
    idle_minutes: Decimal | None = None
    place: str = ""
    detached: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    """One attempt of a job in the ledger.

    Attributes:
        session_id: with the job id, the key of the job.
        job_id: name in its session.
        attempt: from 1.
        template: name of its workflow template.
        spec_json: what was asked for; :attr:`spec` reads it.
        pod_id: where it runs or ran, None as long as no pod took it.
        prompt_id: ComfyUI's name for it.
        state: the last one written.
        error: one line, empty if nothing went wrong.
        submitted: when it was queued, UTC.
        started: when a pod took it, UTC.
        ended: UTC.
        made_json: which files it made, if that was known; :attr:`made` reads it.
        template_path: where its workflow template lay.
    """

    session_id: str
    job_id: str
    attempt: int
    template: str
    spec_json: str
    pod_id: str | None
    prompt_id: str | None
    state: JobState
    error: str
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    made_json: str | None = None
    template_path: str | None = None

    @property
    def made(self) -> tuple[RemoteFile, ...]:
        """The files on the pod that it is known to have made."""
        return files_from_json(self.made_json) if self.made_json else ()

    @property
    def spec(self) -> JobSpec:
        """What was asked for."""
        return spec_from_json(self.spec_json)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRow:
    """A result that is here, and whose it is."""

    session_id: str
    job_id: str
    attempt: int
    result: ResultFile


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRow:
    """A charge, and the session that booked it."""

    session_id: str
    charge: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRow:
    """What another process asks the owner of a pod to do.

    Attributes:
        command_id: grows with each command.
        pod_id: whose owner is asked.
        verb: from the table of verbs.
        args: of that verb.
        made: UTC.
    """

    command_id: int
    pod_id: str
    verb: str
    args: Mapping[str, JsonValue]
    made: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """A pod or an attempt of a job came into a state.

    Attributes:
        at: UTC.
        pod_id: for a pod's change, else None.
        session_id: of a job's change, else None.
        job_id: the same.
        attempt: the same; 0 for a pod.
        state: value of a PodState or a JobState.
        error: as it was then.
    """

    at: datetime
    pod_id: str | None
    session_id: str | None
    job_id: str | None
    attempt: int
    state: str
    error: str
