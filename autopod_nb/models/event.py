"""What ComfyUI tells, as plain values. ``comfyui/messages.py`` makes them out of frames and history."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from autopod_nb.models.job import RemoteFile


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptStarted:
    """The server began with a prompt. ``at_ms``: Unix milliseconds of the server's clock."""

    prompt_id: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesCached:
    """These nodes need not run."""

    prompt_id: str
    node_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStarted:
    """A node runs. ``prompt_id`` is empty right after a reconnect, when the server does not say whose node it is."""

    prompt_id: str
    node_id: str
    display_node_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProgress:
    """How far one node is. ``node_id`` may be an inner one such as ``1.0.2``; ``display_node_id`` the workflow's."""

    node_id: str
    display_node_id: str
    value: float
    maximum: float
    finished: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptProgress:
    """Every node touched so far (``progress_state``), cumulative."""

    prompt_id: str
    nodes: tuple[NodeProgress, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress:
    """A node's own progress bar moved (``progress``)."""

    prompt_id: str
    node_id: str
    value: float
    maximum: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeExecuted:
    """A node has something to show: files, texts, or neither."""

    prompt_id: str
    node_id: str
    display_node_id: str
    files: tuple[RemoteFile, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptFault:
    """Which node ended a prompt, and why.

    Attributes:
        node_id: empty if unknown.
        node_type: class of the node.
        exception_type: for example ``ZeroDivisionError``.
        message: one line.
        traceback: lines as the server sent them.
    """

    node_id: str
    node_type: str
    exception_type: str
    message: str
    traceback: tuple[str, ...] = ()


class PromptOutcome(str, Enum):
    """How a prompt ended."""

    SUCCESS = "success"
    ERROR = "error"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptEnding:
    """The server says how a prompt ends; its history entry may not be there yet."""

    prompt_id: str
    outcome: PromptOutcome
    at_ms: int
    fault: PromptFault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOver:
    """The prompt is over AND in the history (``executing`` with no node)."""

    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueStatus:
    """Prompts running and waiting on the server, whoever owns them. ``session_id`` only right after connecting."""

    remaining: int
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture of work in progress. Old servers name neither prompt nor node (then empty)."""

    prompt_id: str
    node_id: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressText:
    """A node's words about its work; sent to everybody, names no prompt."""

    node_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFeatures:
    """What the server can do. ``max_upload_bytes`` limits every request body."""

    preview_metadata: bool
    max_upload_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLines:
    """Lines of the server's log, for those who subscribed."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A message of a kind that we do not know, or one that makes no sense. Never an error."""

    what: str


ComfyEvent: TypeAlias = (
    PromptStarted
    | NodesCached
    | NodeStarted
    | PromptProgress
    | StepProgress
    | NodeExecuted
    | PromptEnding
    | PromptOver
    | QueueStatus
    | Preview
    | ProgressText
    | ServerFeatures
    | LogLines
    | Unknown
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptResult:
    """The history entry of a prompt: the truth about its end.

    Attributes:
        prompt_id: whose.
        outcome: how it ended.
        files: of all nodes, in the order of the history.
        texts: (node id, text) of nodes that show text.
        fault: for an error or an interrupt.
        started_ms: Unix milliseconds of the server's clock, None if not told.
        ended_ms: the same for the end.
    """

    prompt_id: str
    outcome: PromptOutcome
    files: tuple[RemoteFile, ...]
    texts: tuple[tuple[str, str], ...] = ()
    fault: PromptFault | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
