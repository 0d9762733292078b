"""Who else has a hand in a delivery: ComfyUIs that are killed and started again, and other processes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from autopod_nb.clock import Deadline
from autopod_nb.comfyui.client import ComfyClient
from tests.fakes.relay import clock_s
from tests.session.delivery import ROOT, WITHIN_S, Delivery
from tests.session.live import REAL, kill


class Engines:
    """ComfyUIs that were killed and are started again, as a pod's own watcher would do; they end with :meth:`close`."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[bytes]] = []

    def kill(self, at: Delivery) -> Callable[[], float]:
        """Kill a pod's ComfyUI. Returns what starts it again, on the same port, and says when it answers."""
        pid = at.live.process(at.pod_id, ".engine_main")
        proc = Path(f"/proc/{pid}")
        command = [part.decode() for part in (proc / "cmdline").read_bytes().split(b"\0")[:-1]]
        variables = dict(part.split("=", 1) for part in (proc / "environ").read_text().split("\0") if "=" in part)
        kill(pid, signal.SIGKILL)

        def start() -> float:
            with at.log.open("ab") as log:
                self._started.append(
                    subprocess.Popen(command, env=variables, stdin=subprocess.PIPE, stdout=log, stderr=log)
                )
            with closing(ComfyClient(f"http://127.0.0.1:{at.comfyui_port}", clock=REAL)) as client:
                client.wait_ready(Deadline(REAL, WITHIN_S))
            return clock_s()

        return start

    def close(self) -> None:
        for process in self._started:
            process.kill()
            process.communicate()


class Other:
    """A process of ``tests/session``: it prints a line of JSON when it is ready, and one for each line it reads."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"tests.session.{module}", *map(str, arguments)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._asking = threading.Lock()
        self.told = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def ask(self, line: str) -> dict[str, Any]:
        """Its answer. May be called in any thread."""
        assert self._process.stdin is not None
        with self._asking:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
            return self._read()

    def kill(self) -> None:
        """As ``kill -9`` does. Safe to call twice."""
        self._process.kill()
        self._process.communicate()
