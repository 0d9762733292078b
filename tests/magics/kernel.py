"""A kernel in a process of its own, seen as a front end sees it: outputs, widgets, clicks."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from autopod_nb.clock import Deadline, SystemClock

_LONG_S = 30.0


@dataclass
class Output:
    """What a cell left: the text it printed, and its displays in order, each as it was replaced last."""

    ok: bool = False
    text: str = ""
    error: list[str] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)


class Kernel:
    """Runs cells, follows widgets by their comm messages, and clicks."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client: Any = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=_LONG_S)
        self.widgets: dict[str, dict[str, Any]] = {}
        self.closed: set[str] = set()
        self._displays: dict[str, dict[str, Any]] = {}
        self._cells: dict[str, Output] = {}

    def start(self, code: str) -> str:
        """Send a cell. Returns its message id."""
        msg_id: str = self.client.execute(code)
        self._cells[msg_id] = Output()
        return msg_id

    def run(self, code: str) -> Output:
        """Run a cell to its end."""
        return self.finish(self.start(code))

    def finish(self, msg_id: str) -> Output:
        """Wait for the end of a cell."""
        idle = False
        deadline = Deadline(SystemClock(), _LONG_S)
        while not idle:
            msg = self._next(deadline)
            is_ours = msg["parent_header"].get("msg_id") == msg_id
            idle = is_ours and msg["msg_type"] == "status" and msg["content"]["execution_state"] == "idle"
        reply = self.client.get_shell_msg(timeout=_LONG_S)
        while reply["parent_header"].get("msg_id") != msg_id:
            reply = self.client.get_shell_msg(timeout=_LONG_S)
        output = self._cells[msg_id]
        output.ok = reply["content"]["status"] == "ok"
        return output

    def until(self, condition: Callable[[], bool]) -> None:
        """Read messages until something holds."""
        deadline = Deadline(SystemClock(), _LONG_S)
        while not condition():
            self._next(deadline)

    def values(self, model: str, trait: str = "value") -> list[Any]:
        """A trait of every widget of a kind, such as ``HTMLModel``, in order of their making."""
        return [state[trait] for state in self.widgets.values() if state.get("_model_name") == model]

    def shows(self, text: str) -> bool:
        """Whether any HTML widget says this now."""
        return any(text in value.replace("<span>$</span>", "$") for value in self.values("HTMLModel"))

    def button(self, description: str) -> str:
        """The newest button of this name that is not disabled."""
        found = [
            comm_id
            for comm_id, state in self.widgets.items()
            if state.get("description") == description and not state.get("disabled") and comm_id not in self.closed
        ]
        return found[-1] if found else ""

    def click(self, description: str, *, subshell_id: str | None = None) -> None:
        """Press a button as a front end does."""
        self.until(lambda: bool(self.button(description)))
        data = {"method": "custom", "content": {"event": "click"}}
        msg = self.client.session.msg("comm_msg", {"comm_id": self.button(description), "data": data})
        if subshell_id is not None:
            msg["header"]["subshell_id"] = subshell_id
        self.client.shell_channel.send(msg)

    def make_subshell(self) -> str:
        """What JupyterLab does to let widgets live while a cell runs."""
        msg = self.client.session.msg("create_subshell_request", {})
        self.client.control_channel.send(msg)
        content: dict[str, str] = self.client.get_control_msg(timeout=_LONG_S)["content"]
        return content["subshell_id"]

    def _next(self, deadline: Deadline) -> dict[str, Any]:
        try:
            msg: dict[str, Any] = self.client.get_iopub_msg(timeout=max(0.01, deadline.left_s()))
        except queue.Empty:
            shown = [str(value)[:300] for value in self.values("HTMLModel")]  # a video is a megabyte of text
            raise AssertionError(f"nothing came; widgets: {shown}") from None
        self._take(msg)
        return msg

    def _take(self, msg: dict[str, Any]) -> None:
        content, kind = msg["content"], msg["msg_type"]
        if kind == "comm_open":
            self.widgets[content["comm_id"]] = dict(content["data"].get("state", {}))
        elif kind == "comm_msg" and content["data"].get("method") == "update":
            self.widgets.setdefault(content["comm_id"], {}).update(content["data"]["state"])
        elif kind == "comm_close":
            self.closed.add(content["comm_id"])
        elif kind == "update_display_data":
            display = self._displays.get(content["transient"]["display_id"], {})  # as front ends: unknown is no error
            display.clear()
            display.update(content["data"])
        elif (output := self._cells.get(msg["parent_header"].get("msg_id", ""))) is not None:
            self._output(output, kind, content)

    def _output(self, output: Output, kind: str, content: dict[str, Any]) -> None:
        if kind == "stream":
            output.text += content["text"]
        elif kind == "error":
            output.error = content["traceback"]
        elif kind == "execute_result":
            output.result = content["data"]
        elif kind == "display_data":
            output.displays.append(dict(content["data"]))
            if display_id := content.get("transient", {}).get("display_id"):
                self._displays[display_id] = output.displays[-1]


@contextmanager
def start_kernel(home: Path) -> Iterator[Kernel]:
    """A kernel whose ``AUTOPOD_HOME`` is *home*; it is gone afterwards."""
    manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(home / "ipc"))
    env = os.environ | {
        "AUTOPOD_HOME": str(home),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home),
    }
    manager.start_kernel(env=env, cwd=str(Path.cwd()))
    kernel = Kernel(manager)
    try:
        yield kernel
    finally:
        kernel.client.stop_channels()
        manager.shutdown_kernel(now=False)
        manager.cleanup_resources()
