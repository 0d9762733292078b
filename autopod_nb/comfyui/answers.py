"""What a ComfyUI server answers, in words of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Whereabouts(str, Enum):
    """Where a prompt is on the server."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerInfo:
    """What a server says of itself. ``device`` is its first one, ``cpu`` without a GPU."""

    version: str
    device: str
    python: str
    pytorch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A workflow is in the queue.

    Attributes:
        number: its place: lower runs first.
        node_errors: node id → one line, for outputs that will NOT be made although the rest runs.
    """

    number: float
    node_errors: Mapping[str, str] = field(default_factory=dict)
