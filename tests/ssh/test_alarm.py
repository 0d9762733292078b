"""A wait of paramiko's ends although the end of the transport was told just before it began."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import paramiko
import pytest

from autopod_nb.errors import SshError
from autopod_nb.ssh.alarm import alarm, channel_alarm
from autopod_nb.ssh.keys import load_key
from autopod_nb.ssh.line import SshConnection
from tests.ssh.live_pod import LivePod

_WITHIN_S = 5.0


@pytest.fixture
def transport(pod: LivePod) -> Iterator[paramiko.Transport]:
    transport = paramiko.Transport(("127.0.0.1", pod.facts["ssh_port"]))
    transport.start_client(timeout=20)
    transport.auth_publickey("root", load_key(pod.key_path))
    yield transport
    transport.close()
    transport.join(_WITHIN_S)


class _Late:
    """A request at a channel whose transport ends after the request found it open and before it clears the event."""

    def __init__(self, channel: paramiko.Channel, transport: paramiko.Transport) -> None:
        self._channel, self._transport = channel, transport
        self.ended = threading.Event()

    def ask(self) -> None:
        self._transport.close()
        self._transport.join(_WITHIN_S)
        self._channel._event_pending()  # type: ignore[attr-defined] # the moment is inside of paramiko
        with pytest.raises((EOFError, paramiko.SSHException)):
            self._channel._wait_for_event()  # type: ignore[attr-defined] # the same
        self.ended.set()


def test_a_request_that_begins_as_the_transport_ends_is_woken(transport: paramiko.Transport) -> None:
    late = _Late(transport.open_session(), transport)
    thread = threading.Thread(target=late.ask, daemon=True)
    with channel_alarm(late._channel, transport, 600):
        thread.start()
        assert late.ended.wait(_WITHIN_S)
    thread.join(_WITHIN_S)


def test_a_channel_is_closed_when_its_time_is_over(transport: paramiko.Transport) -> None:
    channel = transport.open_session()
    channel.settimeout(_WITHIN_S)
    with channel_alarm(channel, transport, 0.1):
        assert channel.recv(1) == b"", "closed here, so nothing will come"
    assert transport.is_active(), "the line lives on"


def test_an_alarm_rings_once_and_only_when_it_takes_longer() -> None:
    rung = threading.Semaphore(0)
    with alarm(600, rung.release):
        pass
    assert not rung.acquire(blocking=False)
    with alarm(0.01, rung.release):
        assert rung.acquire(timeout=_WITHIN_S)
    assert not rung.acquire(blocking=False)


def test_lines_that_are_closed_while_commands_begin_leave_nobody_waiting(pod: LivePod) -> None:
    for pause_s in [number * 0.002 for number in range(12)]:
        connection = pod.connect()
        begun = threading.Event()
        thread = threading.Thread(target=_run_until_lost, args=(connection, begun), daemon=True)
        thread.start()
        begun.wait(_WITHIN_S)
        threading.Event().wait(pause_s)
        connection.close()
        thread.join(_WITHIN_S)
        assert not thread.is_alive()


def _run_until_lost(connection: SshConnection, begun: threading.Event) -> None:
    try:
        while True:
            begun.set()
            connection.run("true", 60)
    except SshError:
        return
