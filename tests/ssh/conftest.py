"""A real pod program to connect to, with an echo server in the place of its ComfyUI."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

from autopod_nb.ssh.connection import SshConnection
from tests.ssh.live_pod import LivePod, start_pod

_END_S = 10


class _Echo(socketserver.BaseRequestHandler):
    """Sends back what comes until the other side has no more."""

    def handle(self) -> None:
        while data := self.request.recv(1 << 16):
            self.request.sendall(data)


class _EchoServer(socketserver.ThreadingTCPServer):
    request_queue_size = 64


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with _EchoServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="echo")
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(_END_S)


@pytest.fixture(scope="module")
def new_pod(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Iterator[Callable[..., LivePod]]:
    """Starts pods that end with the module: ``new_pod("--env", "A=b")``."""
    home = tmp_path_factory.mktemp("home")
    started: list[LivePod] = []

    def start(*arguments: str) -> LivePod:
        folder = tmp_path_factory.mktemp("pod")
        started.append(start_pod(home, folder, "--comfyui-port", str(echo_port), *arguments))
        return started[-1]

    yield start
    for pod in started:
        pod.end()


@pytest.fixture(scope="module")
def pod(new_pod: Callable[..., LivePod]) -> LivePod:
    return new_pod("--env", "TOKEN=a=b", "--env", "LINES=one\ntwo", "--env", "SIGN=ü€", "--env", "EMPTY=")


@pytest.fixture
def connection(pod: LivePod) -> Iterator[SshConnection]:
    connection = pod.connect()
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Every thread of ours has ended with the test that made it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(("autopod", "Thread-")):
            thread.join(5)
            assert not thread.is_alive(), f"{thread.name} is left"
