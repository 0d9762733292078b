"""What a monitor tells of the prompts it watches, besides what the server itself says, and of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from autopod_nb.models.event import ComfyEvent, PromptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What has happened so far. ``messages`` are frames of the socket, ``polls`` rounds of questions."""

    connects: int
    messages: int
    polls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The socket is open under a client id that was never used before."""

    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The socket is gone: live progress of prompts under its client id is unknown from here on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRunning:
    """The queue says that a watched prompt runs, and no socket has told of its start. Posted once."""

    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptResultFound:
    """A watched prompt is in the history. Posted once."""

    result: PromptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVanished:
    """A watched prompt is neither in the queue nor in the history, looked at twice. Posted once.

    Attributes:
        prompt_id: which.
        may_have_run: it was there before, or the server has forgotten everything; else it never arrived.
    """

    prompt_id: str
    may_have_run: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRestarted:
    """The server forgot everything; a :class:`PromptVanished` follows for each watched prompt."""


MonitorEvent: TypeAlias = (
    ComfyEvent | Connected | Disconnected | PromptRunning | PromptResultFound | PromptVanished | ServerRestarted
)
