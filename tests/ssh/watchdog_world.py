"""What surrounds a watchdog, for tests: a provider and a ComfyUI on one port, a clock in a file, the script itself."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from autopod_nb.clock import Deadline, SystemClock

SCRIPT = Path(__file__).parents[2] / "autopod_nb" / "ssh" / "watchdog.sh"
KEY = "rpa_SECRETKEY.0123456789+/=-_~"
POD_ID = "pod1abc"
ACTION = f"/v2/pods/{POD_ID}/action"
STEP_S = 60  # the script takes a longer step of the clock for a clock that was set
PATIENCE_S = 30.0
SHELLS = {
    name: command
    for name, command in {"sh": ["sh"], "dash": ["dash"], "busybox": ["busybox", "sh"], "bash": ["bash"]}.items()
    if shutil.which(command[0])
}
CLIENTS = {
    name: clients
    for name, clients in {"python3": "python", "curl": "curl", "wget": "wget python"}.items()
    if shutil.which(name)
}
_LOOK_S = 0.01

CONTROLLER = """
import sys
from pathlib import Path
from threading import Event
from autopod_nb.clock import SystemClock
from autopod_nb.ssh.connection import HostKeyPin, SshTarget, connect
from autopod_nb.ssh.keys import load_key
from autopod_nb.ssh.watchdog import beat
port, pin, key, folder = sys.argv[1:]
target = SshTarget(host="127.0.0.1", port=int(port), user="root", pin=HostKeyPin(pin))
connection = connect(target, load_key(Path(key)), clock=SystemClock(), timeout_s=20)
while True:
    beat(connection, folder)
    print("beat", flush=True)
    Event().wait(0.2)
"""
"""Calls five times a second until it is killed; the arguments are port, pin, path of the key, folder."""


def eventually(what: str, condition: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait until *condition* holds; fail with *what* if it never does."""
    deadline, pause = Deadline(SystemClock(), within_s), threading.Event()
    while not condition():
        assert not deadline.passed, f"never happened: {what}"
        pause.wait(_LOOK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the provider, and what could be seen of the key just then."""

    method: str
    path: str
    body: str
    authorization: str
    agent: str
    clients: int  # processes that name the address of this request: how the test knows that it looked
    leaks: tuple[str, ...]


@dataclass
class World:
    """A provider and a ComfyUI. What they answer can be changed at any time."""

    folder: Path
    queue: str = '{"exec_info": {"queue_remaining": 0}}'
    queue_status: int = 200
    read_status: int = 200
    action_statuses: list[int] = field(default_factory=lambda: [200])  # the last one again and again
    graphql: tuple[int, str] = (200, '{"data": {"podStop": {"id": "x"}}}')
    history: tuple[int, str] = (200, "{}")
    on_prompt: Callable[[], None] = lambda: None
    calls: list[Call] = field(default_factory=list)
    looks: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def paths(self) -> list[str]:
        return [call.path for call in list(self.calls)]

    def busy(self, jobs: int) -> None:
        self.queue = json.dumps({"exec_info": {"queue_remaining": jobs}})

    def looked_at(self) -> None:
        """Wait until a look that began after this call is over and decided."""
        seen = self.looks
        eventually("the watchdog looks at the queue", lambda: self.looks >= seen + 3)

    def answer(self, method: str, path: str) -> tuple[int, str]:
        if path == "/prompt":
            self.looks += 1
            self.on_prompt()
            return self.queue_status, self.queue
        if path.startswith("/history"):
            return self.history
        if path == ACTION:
            return (self.action_statuses.pop(0) if len(self.action_statuses) > 1 else self.action_statuses[0]), "{}"
        if path == "/graphql":
            return self.graphql
        return (self.read_status, "{}") if method == "GET" else (404, "{}")


def _handler(world: World) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE_S

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            if not self.path.startswith(("/prompt", "/history")):
                url = world.url + self.path
                world.calls.append(
                    Call(method=self.command, path=self.path, body=body, leaks=leaks_of(world.folder),
                         authorization=self.headers.get("Authorization", ""), agent=self.headers.get("User-Agent", ""),
                         clients=sum(url in line for line in command_lines()))
                )  # fmt: skip
            status, text = world.answer(self.command, self.path)
            with suppress(OSError):  # the test has killed whoever asked
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

        do_GET = do_POST = _serve  # noqa: N815 # the names that the server looks for

        def log_message(self, *_: object) -> None:
            """Tests have a record of their own."""

    return Handler


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """A world on loopback; *folder* is the watchdog's, which is searched for the key."""
    world = World(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(world))
    world.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="world")
    thread.start()
    try:
        yield world
    finally:
        server.shutdown()
        thread.join(PATIENCE_S)
        server.server_close()


def command_lines() -> list[str]:
    """What any user of the machine can read of every process."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # ended meanwhile
            found.append(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def leaks_of(folder: Path) -> tuple[str, ...]:
    """Every place where the key can be read: command lines, and files of the folder."""
    files = []
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and KEY.encode() in path.read_bytes():
                files.append(str(path))
    return (*(line for line in command_lines() if KEY in line), *files)


def watchdogs_of(folder: str | Path) -> set[int]:
    """The loops that run for a folder; their subshells are not counted, nor what has ended and waits to be reaped."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"run" in words and words[words.index(b"run") + 1] == os.fsencode(str(folder)):
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return {pid for pid, parent in found.items() if parent not in found}


class TestTime:
    """The clock of a watchdog, in a file."""

    __test__ = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = int(time.time())
        self.set(self.now)

    def set(self, now: int) -> None:
        self.now = now
        part = self.path.with_suffix(".part")
        part.write_text(f"{now}\n")
        part.replace(self.path)

    def pass_by(self, seconds: int, world: World) -> None:
        """Move on by steps that could be waits; the script has looked after each but the last."""
        while seconds > 0:
            step = min(STEP_S, seconds)
            self.set(self.now + step)
            seconds -= step
            if seconds:
                world.looked_at()


@dataclass
class Loop:
    """``watchdog.sh run`` as a child of the test."""

    world: World
    clock: TestTime
    process: subprocess.Popen[bytes]

    def beat(self) -> None:
        """As somebody who calls would write it, at the time of this clock."""
        part = self.world.folder / "beat.part"
        part.write_text(f"{self.clock.now}\n")
        part.replace(self.world.folder / "beat")

    def log(self) -> str:
        path = self.world.folder / "log"
        return path.read_text() if path.exists() else ""

    def has_ended(self) -> int:
        return self.process.wait(PATIENCE_S)

    @property
    def running(self) -> bool:
        return self.process.poll() is None


@contextmanager
def run_loop(
    world: World, *, shell: str = "sh", quiet_s: int = 60, deadline: int | None = None, mode: str = "stop",
    client: str = "", path: str = "", variables: dict[str, str] | None = None,
) -> Iterator[Loop]:  # fmt: skip
    """Run the loop against a world, until it has looked once, and kill it in the end."""
    clock = TestTime(world.folder.parent / "clock")
    environ = world.folder.parent / "environ"
    values = {"LINES": "one\nRUNPOD_API_KEY=wrong", "RUNPOD_POD_ID": POD_ID, "RUNPOD_API_KEY": KEY}
    write_environ(environ, values if variables is None else variables)
    argv = [*SHELLS[shell], str(SCRIPT), "run", str(world.folder), str(quiet_s), str(world.port), str(environ),
            world.url, str(deadline or "none"), mode]  # fmt: skip
    setting = {
        "WATCHDOG_POLL_S": "0.02",
        "WATCHDOG_CLOCK": str(clock.path),
        "WATCHDOG_HTTP": client,
    }
    setting["PATH"] = f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]
    with subprocess.Popen(argv, env=setting, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            eventually("the first look", lambda: world.looks > 0)
            yield Loop(world, clock, process)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def write_environ(path: Path, variables: dict[str, str]) -> None:
    """As ``/proc/1/environ`` shows them."""
    path.write_bytes(b"".join(f"{name}={value}".encode() + b"\0" for name, value in variables.items()))
