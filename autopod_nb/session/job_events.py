"""What happened to the steps of a job, as plain values. ``attempt`` keeps late answers of an earlier one out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from autopod_nb.models.event import PromptResult
from autopod_nb.models.job import RemoteFile, ResultFile
from autopod_nb.models.rate import Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class JobWritten:
    """The ledger holds the job: now it may cost money."""

    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesMoved:
    """Its inputs on their way to the pod, or its results on their way here, are so far. At most a few a second."""

    job_id: str
    attempt: int
    transfer: Transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsUploaded:
    """The pod has the inputs. ``names``: (input, ComfyUI's name of the file)."""

    job_id: str
    attempt: int
    names: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptAccepted:
    """ComfyUI took the workflow. ``complaints``: what it will leave out."""

    job_id: str
    attempt: int
    complaints: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """Upload or submission failed. ``line_at_fault``: it may work on another line or pod."""

    job_id: str
    attempt: int
    why: str
    line_at_fault: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptCancelled:
    """ComfyUI was told to end the prompt. ``gone``: it will leave no history."""

    job_id: str
    attempt: int
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRead:
    """The history entry was read: these files are on the pod."""

    job_id: str
    attempt: int
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFetched:
    """The history entry was read, and what it names is here."""

    job_id: str
    attempt: int
    result: PromptResult
    files: tuple[ResultFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchFailed:
    """The results are not here yet. ``lost``: they never will be."""

    job_id: str
    attempt: int
    why: str
    lost: bool


JobStepEvent: TypeAlias = (
    JobWritten
    | FilesMoved
    | InputsUploaded
    | PromptAccepted
    | StepFailed
    | PromptCancelled
    | PromptRead
    | PromptFetched
    | FetchFailed
)
