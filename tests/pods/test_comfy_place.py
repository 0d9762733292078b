"""ComfyUI is found on a pod, or started there. The pods are real: commands by SSH, processes, files."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import BootFailed
from autopod_nb.models.pod import PodAddress
from autopod_nb.pods.comfy_place import place_comfyui
from autopod_nb.ssh.line import SshConnection
from tests.ssh.conftest import connection, echo_port, new_pod, pod  # noqa: F401 - fixtures
from tests.ssh.live_pod import LivePod

CLOCK = SystemClock()
WITHIN_S = 20.0
MAIN = """
import http.server, os, sys
port = int(sys.argv[sys.argv.index("--port") + 1])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(" ".join(sys.argv[1:]).encode())
    def log_message(self, *args): pass
open("pid", "w").write(str(os.getpid()))
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture
def address(pod: LivePod) -> PodAddress:  # noqa: F811 - the fixture
    """As a provider tells it that knows nothing of ComfyUI."""
    return PodAddress(
        host="127.0.0.1",
        port=pod.facts["ssh_port"],
        user="root",
        comfyui_port=0,
        comfyui_dir="",
        environ_path="/proc/1/environ",
    )


@pytest.fixture
def install(tmp_path: Path) -> Iterator[Path]:
    """A folder with a program that is started as ComfyUI is; whatever runs of it is ended."""
    folder = tmp_path / "Comfy UI"
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(sys.executable)
    (folder / "main.py").write_text(MAIN)
    yield folder
    if (folder / "pid").exists():
        os.kill(int((folder / "pid").read_text()), signal.SIGKILL)


def place(
    line: SshConnection, address: PodAddress, *, folder: Path | None, port: int | None = None, **wishes: float
) -> PodAddress:
    return place_comfyui(
        line,
        address,
        wanted_dir=None if folder is None else str(folder),
        wanted_port=port,
        deadline=Deadline(CLOCK, wishes.pop("within_s", WITHIN_S)),
        clock=CLOCK,
        abort=threading.Event(),
        **wishes,
    )


def answer(port: int) -> str:
    """What the program says, as soon as it does."""
    deadline, pause = Deadline(CLOCK, WITHIN_S), threading.Event()
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as found:
                return str(found.read().decode())
        except urllib.error.URLError:  # noqa: PERF203 - asked again until it answers
            assert not deadline.passed
            pause.wait(0.05)


def test_a_pod_that_says_where_it_is_is_believed(
    connection: SshConnection,  # noqa: F811 - the fixture
    pod: LivePod,  # noqa: F811 - the fixture
    address: PodAddress,
) -> None:
    found = place(connection, address, folder=None)
    assert found == replace(
        address,
        comfyui_port=pod.facts["comfyui_port"],
        comfyui_dir=pod.facts["comfyui_dir"],
        environ_path=pod.facts["environ_path"],
    )


def test_an_address_that_is_complete_is_left_as_it_is(
    connection: SshConnection,  # noqa: F811 - the fixture
    address: PodAddress,
) -> None:
    whole = replace(address, comfyui_port=1, comfyui_dir="/c")
    assert place(connection, whole, folder=None) is whole


def test_one_that_does_not_run_is_started_on_loopback_once_and_found_again(
    connection: SshConnection,  # noqa: F811 - the fixture
    address: PodAddress,
    install: Path,
    free_port: int,
) -> None:
    found = place(connection, address, folder=install, port=free_port, start_after_s=0)
    assert (found.comfyui_dir, found.comfyui_port) == (str(install), free_port)
    assert answer(free_port) == f"--listen 127.0.0.1 --port {free_port} --disable-auto-launch"
    again = place(connection, address, folder=install, start_after_s=0)
    assert again.comfyui_port == free_port, "told by the process that runs"


def test_an_image_that_starts_it_itself_is_given_time(
    connection: SshConnection,  # noqa: F811 - the fixture
    address: PodAddress,
    install: Path,
    free_port: int,
) -> None:
    command = f"cd '{install}' && setsid '{sys.executable}' main.py --port {free_port} >/dev/null 2>&1 &"
    late = threading.Timer(1.0, lambda: connection.run(command, 10))
    late.start()
    found = place(connection, address, folder=install, start_after_s=600)
    late.join()
    assert found.comfyui_port == free_port
    assert "--listen" not in answer(free_port), "it is the image's own"


def test_without_any_the_fix_is_named(
    connection: SshConnection,  # noqa: F811 - the fixture
    address: PodAddress,
    tmp_path: Path,
) -> None:
    with pytest.raises(BootFailed, match=r"no ComfyUI on it \(looked in .*nowhere\).*providers\.runpod\.comfyui_dir"):
        place(connection, address, folder=tmp_path / "nowhere", within_s=0.1)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
