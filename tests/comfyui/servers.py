"""Servers to talk to: the built-in engine as a process, one that follows a script, and a relay that does harm."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.comfyui.client import ComfyClient

PATIENCE_S = 20.0
CLOCK = SystemClock()


def patience() -> Deadline:
    """How long a test waits before it fails."""
    return Deadline(CLOCK, PATIENCE_S)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EngineProcess:
    """The built-in engine as a process of its own, which can be killed and started again on the same port."""

    def __init__(self, base_dir: Path) -> None:
        self._base_dir = base_dir
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autopod_nb.localpod.engine_main", "--host", "127.0.0.1", "--port", str(self._port),
             "--base-dir", str(self._base_dir), "--gpu", "A40", "--vram-bytes", "1000"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        client = ComfyClient(self.url, clock=CLOCK)
        client.wait_ready(patience())
        client.close()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None


@dataclass
class Request:
    """One request that a scripted server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What a scripted server answers.

    Attributes:
        cut_after: bytes of the body after which the connection is cut; None for none.
        hold: wait for this event before answering.
    """

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut_after: int | None = None
    hold: threading.Event | None = None


Script = Callable[[Request], Answer]


class ScriptedServer:
    """An HTTP server on a free port that answers as its script says, and keeps what it was asked."""

    def __init__(self, script: Script) -> None:
        self.requests: list[Request] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with suppress(OSError):  # the other side went away, which these tests are about
                    super().handle_one_request()
                    return
                self.close_connection = True

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers), body)
                outer.requests.append(request)
                answer = script(request)
                if answer.hold is not None:
                    answer.hold.wait(PATIENCE_S)
                if answer.cut_after is not None and answer.cut_after < 0:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body[: answer.cut_after])
                self.close_connection = answer.cut_after is not None

            do_GET = do_POST = _answer  # noqa: N815 - named by the standard library

            def log_message(self, *_args: object) -> None:
                """Keep quiet."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="scripted")

    def paths(self, method: str) -> list[str]:
        """The paths that were asked for with one method, in order."""
        return [request.path for request in self.requests if request.method == method]

    def __enter__(self) -> ScriptedServer:  # noqa: PYI034 - Self is not in Python 3.10
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)
