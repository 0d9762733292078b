"""What a monitor tells of the prompts it watches, besides what the server itself says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from autopod_nb.models.event import ComfyEvent, PromptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The socket is open under a client id that was never used before."""

    client_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The socket is gone: live progress of prompts under its client id is unknown from here on."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptResultFound:
    """A watched prompt is in the history. Posted once."""

    result: PromptResult


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVanished:
    """A watched prompt is neither in the queue nor in the history, looked at twice. Posted once."""

    prompt_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRestarted:
    """The server forgot everything; a :class:`PromptVanished` follows for each watched prompt."""


MonitorEvent: TypeAlias = ComfyEvent | Connected | Disconnected | PromptResultFound | PromptVanished | ServerRestarted
