"""What happens when the line goes bad without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.errors import SshError
from autopod_nb.ssh import line
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key
from tests.fakes.relay import Relay
from tests.ssh.live_pod import LivePod

pytestmark = pytest.mark.faults


@pytest.fixture
def relay(pod: LivePod) -> Iterator[Relay]:
    with Relay(pod.facts["ssh_port"]) as relay:
        yield relay


@pytest.fixture
def through(relay: Relay, pod: LivePod) -> Iterator[SshConnection]:
    target = SshTarget(host="127.0.0.1", port=relay.port, user="root", pin=HostKeyPin())
    connection = connect(target, load_key(pod.key_path), clock=SystemClock(), timeout_s=20)
    yield connection
    connection.close()


@pytest.fixture
def quick_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "_PROBE_EVERY_S", 0.2)
    monkeypatch.setattr(line, "_PROBE_S", 0.5)


def test_a_line_that_falls_silent_is_found_out(quick_probe: None, relay: Relay, through: SshConnection) -> None:
    lost = threading.Event()
    through.on_lost(lost.set)
    assert through.run("echo on", 10).stdout == b"on\n"
    relay.stall()
    assert lost.wait(10)
    assert not through.alive


def test_a_line_that_answers_is_left_alone(quick_probe: None, through: SshConnection) -> None:
    lost = threading.Event()
    through.on_lost(lost.set)
    assert not lost.wait(1.5), "five probes were answered"
    assert through.run("echo on", 10).stdout == b"on\n"


def test_a_command_over_a_silent_line_ends_in_its_time(relay: Relay, through: SshConnection) -> None:
    """Also while paramiko itself waits without bound: for the pod's word that the command began."""
    assert through.run("echo on", 10).stdout == b"on\n"
    relay.stall()
    with pytest.raises(SshError, match=r"lost|longer than"):
        through.run("echo off", 1.0)


def test_a_file_session_over_a_silent_line_is_given_up(
    monkeypatch: pytest.MonkeyPatch, relay: Relay, through: SshConnection
) -> None:
    monkeypatch.setattr(line, "_CHANNEL_S", 1.0)
    relay.stall()
    with pytest.raises(SshError):
        through.open_sftp()
