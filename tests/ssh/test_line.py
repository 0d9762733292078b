"""What happens when the line goes bad without a word."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.errors import SshError
from autopod_nb.ssh import line
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key
from tests.ssh.live_pod import LivePod

pytestmark = pytest.mark.faults


class _Relay:
    """Stands between us and the pod; ``stall`` keeps every byte back and both connections open."""

    def __init__(self, port: int) -> None:
        self.stalled = threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._remote_port = port
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._thread.start()

    def _run(self) -> None:
        ours, _ = self._door.accept()
        theirs = socket.create_connection(("127.0.0.1", self._remote_port))
        with ours, theirs, selectors.DefaultSelector() as selector:
            selector.register(ours, selectors.EVENT_READ, theirs)
            selector.register(theirs, selectors.EVENT_READ, ours)
            selector.register(self._stopped, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.data is None:
                        return
                    with contextlib.suppress(OSError):
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr] # all of them are sockets
                        if not data:
                            return
                        if not self.stalled.is_set():
                            key.data.sendall(data)

    def close(self) -> None:
        self._stop.send(b"x")
        self._thread.join(10)
        for sock in (self._door, self._stop, self._stopped):
            sock.close()


@pytest.fixture
def relay(pod: LivePod) -> Iterator[_Relay]:
    relay = _Relay(pod.facts["ssh_port"])
    yield relay
    relay.close()


@pytest.fixture
def through(relay: _Relay, pod: LivePod) -> Iterator[SshConnection]:
    target = SshTarget(host="127.0.0.1", port=relay.port, user="root", pin=HostKeyPin())
    connection = connect(target, load_key(pod.key_path), clock=SystemClock(), timeout_s=20)
    yield connection
    connection.close()


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_PROBE_EVERY_S", 0.2)
    monkeypatch.setattr(line, "_PROBE_S", 0.5)


def test_a_line_that_falls_silent_is_found_out(quick_probe: None, relay: _Relay, through: SshConnection) -> None:
    lost = threading.Event()
    through.on_lost(lost.set)
    assert through.run("echo on", 10).stdout == b"on\n"
    relay.stalled.set()
    assert lost.wait(10)
    assert not through.alive


def test_a_line_that_answers_is_left_alone(quick_probe: None, through: SshConnection) -> None:
    lost = threading.Event()
    through.on_lost(lost.set)
    assert not lost.wait(1.5), "five probes were answered"
    assert through.run("echo on", 10).stdout == b"on\n"


def test_a_command_over_a_silent_line_ends_in_its_time(relay: _Relay, through: SshConnection) -> None:
    """Also while paramiko itself waits without bound: for the pod's word that the command began."""
    assert through.run("echo on", 10).stdout == b"on\n"
    relay.stalled.set()
    with pytest.raises(SshError, match=r"lost|longer than"):
        through.run("echo off", 1.0)


def test_a_file_session_over_a_silent_line_is_given_up(
    monkeypatch: pytest.MonkeyPatch, relay: _Relay, through: SshConnection
) -> None:
    monkeypatch.setattr(line, "_CHANNEL_S", 1.0)
    relay.stalled.set()
    with pytest.raises(SshError):
        through.open_sftp()
