"""One job while it runs: whom it tells what, what its history entry will hold, and what its nodes see of the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from .comfy_socket import Binary, SocketHub
from .nodes import Interrupted, NodeResult
from .progress import Progress
from .prompt_queue import Entry


@dataclass(slots=True)
class Job:
    """A job while it runs: its audience, and what its history entry will hold.

    A job without client id is heard by everybody where that is so in the real server, and by nobody elsewhere.
    """

    entry: Entry
    hub: SocketHub
    messages: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    executed: list[str] = field(default_factory=list)

    @property
    def client_id(self) -> str | None:
        """Whose job it is."""
        return self.entry.extra_data.get("client_id")

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Send to the client, or to everybody."""
        self.hub.send(event, data, self.client_id)

    def show(self, event: Binary, payload: bytes) -> None:
        """Send a binary frame to the client, or to everybody."""
        self.hub.send_binary(event, payload, self.client_id)

    def knows_metadata(self) -> bool:
        """Say whether the client announced `supports_preview_metadata`."""
        return self.client_id is not None and self.hub.has(self.client_id, "supports_preview_metadata")

    def tell_owner(self, event: str, data: Mapping[str, Any]) -> None:
        """Send to the client; a job without one keeps it to itself."""
        if self.client_id is not None:
            self.hub.send(event, {**data, "prompt_id": self.entry.prompt_id}, self.client_id)

    def record(self, event: str, data: Mapping[str, Any], *, everybody: bool = False) -> None:
        """Send a message and keep it for the history.

        Args:
            event: Its type.
            data: Without the time, which is added.
            everybody: Whether all clients hear it from a job without client id.
        """
        stamped = {**data, "timestamp": int(time.time() * 1000)}
        self.messages.append((event, stamped))
        if everybody or self.client_id is not None:
            self.tell(event, stamped)

    def keep_output(self, node_id: str, result: NodeResult) -> None:
        """Keep what a node has to show for the history."""
        if result.ui:
            ids = {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
            self.outputs[node_id], self.meta[node_id] = result.ui, ids

    def result(self) -> dict[str, Any]:
        """Return what the history shows beside the prompt."""
        success = bool(self.messages) and self.messages[-1][0] == "execution_success"
        messages = [[event, data] for event, data in self.messages]
        status = {"status_str": "success" if success else "error", "completed": success, "messages": messages}
        return {"outputs": self.outputs, "status": status, "meta": self.meta}


@dataclass(slots=True)
class RunningNode:
    """What a node sees of the engine: a `NodeContext`."""

    node_id: str
    input_dir: Path
    output_dir: Path
    temp_dir: Path
    prompt: Mapping[str, Any]
    extra_pnginfo: Mapping[str, Any] | None
    steps: Progress
    interrupt: threading.Event
    disable_metadata: bool = False

    def check(self) -> None:
        """Stop here if the job was interrupted.

        Raises:
            Interrupted: It was.
        """
        if self.interrupt.is_set():
            self.interrupt.clear()
            raise Interrupted

    def progress(self, value: float, maximum: float, preview: Image.Image | None = None) -> None:
        """Pass a step on.

        Raises:
            Interrupted: The job was interrupted.
        """
        self.check()
        self.steps.step(self.node_id, value, maximum, preview)


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type, with its module unless it is a builtin."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
