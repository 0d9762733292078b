"""A job: what was asked for, its states, and what comes out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

from autopod_nb.errors import IllegalTransition

JsonScalar: TypeAlias = str | int | float | bool | None
JsonValue: TypeAlias = "JsonScalar | list[JsonValue] | dict[str, JsonValue]"


class JobState(str, Enum):
    """Where a job is."""

    QUEUED = "queued"
    UPLOADING = "uploading"
    SUBMITTED = "submitted"
    RUNNING = "running"
    COLLECTING = "collecting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobEvent(str, Enum):
    """What can happen to a job."""

    TAKEN = "taken by a pod"
    ACCEPTED = "accepted by ComfyUI"
    STARTED = "started"
    ENDED = "ended on the pod"
    COLLECTED = "results verified here"
    FAIL = "fail"
    CANCEL = "cancel"
    POD_LOST = "its pod or server died"


_S, _E = JobState, JobEvent
_ACTIVE = (_S.QUEUED, _S.UPLOADING, _S.SUBMITTED, _S.RUNNING, _S.COLLECTING)

JOB_TABLE: dict[tuple[JobState, JobEvent], JobState] = {
    (_S.QUEUED, _E.TAKEN): _S.UPLOADING,
    (_S.UPLOADING, _E.ACCEPTED): _S.SUBMITTED,
    (_S.SUBMITTED, _E.STARTED): _S.RUNNING,
    (_S.SUBMITTED, _E.ENDED): _S.COLLECTING,  # all cached, or ended unseen
    (_S.RUNNING, _E.ENDED): _S.COLLECTING,
    (_S.COLLECTING, _E.COLLECTED): _S.DONE,
    (_S.UPLOADING, _E.POD_LOST): _S.QUEUED,
    (_S.SUBMITTED, _E.POD_LOST): _S.QUEUED,
    (_S.RUNNING, _E.POD_LOST): _S.QUEUED,
    (_S.COLLECTING, _E.POD_LOST): _S.QUEUED,  # its results went with the pod
    **{(state, _E.FAIL): _S.FAILED for state in _ACTIVE},
    **{(state, _E.CANCEL): _S.CANCELLED for state in _ACTIVE},
}
"""(state, event) → state. A pair that is not here raises and changes nothing."""


def next_job_state(state: JobState, event: JobEvent) -> JobState:
    """The state after *event*.

    Raises:
        IllegalTransition: the table has no such pair.
    """
    try:
        return JOB_TABLE[state, event]
    except KeyError:
        raise IllegalTransition(f"A job that is {state.value!r} cannot take {event.value!r}.") from None


def job_is_over(state: JobState) -> bool:
    """Whether the job has its end state."""
    return state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodConfig:
    """What a job wants of its pod, and its limits.

    Attributes:
        gpu_type: GPU as people say it, None for the preferences.
        gpu_count: GPUs in the pod, 1 or more.
        max_cost_usd: limit of the job, above zero; None for none.
        timeout_minutes: the job ends after this long on a pod, above zero; None for none.
    """

    gpu_type: str | None = None
    gpu_count: int = 1
    max_cost_usd: Decimal | None = None
    timeout_minutes: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What a person asked for, already checked in itself.

    Attributes:
        job_id: unique in the session; letters, digits, ``.``, ``_`` and ``-``.
        workflow_template: name of a template, or path of a file.
        inputs: placeholder name → local file.
        params: placeholder name, or ``NODE_ID.input`` or ``Title.input`` → value.
        outputs: output name → local path with ``{job_id}`` already filled in; empty means every output, in
            ``outputs/JOB_ID/``.
        pod_config: wishes and limits.
        batch: the job id that was written above a sweep, of which this is one job; empty if it is none.
        swept: what sets this job apart from the others of its sweep: name as written in the sweep → its value; a file
            as its path was written.
        source: where it was written, for messages: a file name, ``cell`` or ``Python``.
        lines: dotted key (``inputs.image``) → line in the source from 1, as far as known; for messages only.
    """

    job_id: str
    workflow_template: str
    inputs: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    params: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    outputs: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))
    pod_config: PodConfig = PodConfig()
    batch: str = ""
    swept: Mapping[str, JsonValue] = field(default_factory=lambda: MappingProxyType({}))
    source: str = "Python"
    lines: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}), compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file that ComfyUI made or holds.

    Attributes:
        node_id: the node that made it, empty if none did.
        filename: last part of the name, as ComfyUI gave it: not to be trusted as a path.
        subfolder: below the folder of its kind, as ComfyUI gave it.
        folder: ``output``, ``input`` or ``temp``.
    """

    node_id: str
    filename: str
    subfolder: str = ""
    folder: str = "output"


class Verified(str, Enum):
    """How a result was checked."""

    SHA256 = "sha256"
    DECODED = "size and decode"
    SIGNATURE = "size and signature"  # nothing here can decode its format


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A result that is here, whole.

    Attributes:
        output: name of the output in the job.
        path: where it lies.
        bytes: size.
        sha256: hex digest.
        verified: how it was checked against the pod.
        source: the file on the pod.
    """

    output: str
    path: Path
    bytes: int
    sha256: str
    verified: Verified
    source: RemoteFile
