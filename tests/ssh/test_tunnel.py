from __future__ import annotations

import hashlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from autopod_nb.ssh.connection import SshConnection
from autopod_nb.ssh.tunnel import Tunnel
from tests.ssh.live_pod import LivePod


@pytest.fixture
def tunnel(connection: SshConnection, echo_port: int) -> Iterator[Tunnel]:
    tunnel = Tunnel(connection, echo_port)
    yield tunnel
    tunnel.close()


def _call(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def _echo(port: int, data: bytes) -> bytes:
    """Send everything, say that there is no more, and read to the end."""
    with _call(port) as sock:

        def send() -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        found = bytearray()
        while part := sock.recv(1 << 17):
            found += part
        sender.join()
        return bytes(found)


def test_twenty_megabytes_come_back_the_same(tunnel: Tunnel) -> None:
    data = os.urandom(20 << 20)
    assert hashlib.sha256(_echo(tunnel.port, data)).digest() == hashlib.sha256(data).digest()


def test_twenty_connections_at_once_do_not_mix(tunnel: Tunnel) -> None:
    found: dict[int, bool] = {}

    def ask(number: int) -> None:
        data = bytes([number]) * 50_000
        found[number] = _echo(tunnel.port, data) == data

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(20), True)


def test_one_side_may_end_while_the_other_goes_on(tunnel: Tunnel) -> None:
    with _call(tunnel.port) as sock:
        sock.sendall(b"all that I have")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(100) == b"all that I have"
        assert sock.recv(100) == b""


def test_the_next_free_port_is_taken(connection: SshConnection, echo_port: int) -> None:
    first = Tunnel(connection, echo_port, wanted_port=28188)
    second = Tunnel(connection, echo_port, wanted_port=first.port)
    assert first.port < second.port <= first.port + 50
    assert _echo(second.port, b"hello") == b"hello"
    second.close()
    first.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody else can bind it")
def test_a_port_that_another_one_listens_on_after_both_have_bound_it_is_passed_over(
    connection: SshConnection, echo_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two kernels may bind a port at the same moment; only one of them can listen."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        real = socket.socket.bind

        def bind_and_be_too_late(sock: socket.socket, address: tuple[str, int]) -> None:
            real(sock, address)
            if address[1] == port:
                other.listen()

        monkeypatch.setattr(socket.socket, "bind", bind_and_be_too_late)
        with closing(Tunnel(connection, echo_port, wanted_port=port)) as tunnel:
            assert tunnel.port != port
            assert _echo(tunnel.port, b"through") == b"through"


def test_any_port_is_taken_when_none_of_the_wanted_ones_exists(connection: SshConnection, echo_port: int) -> None:
    tunnel = Tunnel(connection, echo_port, wanted_port=70_000)
    assert _echo(tunnel.port, b"hello") == b"hello"
    tunnel.close()


def test_a_port_where_nothing_listens_ends_the_connection_and_not_the_tunnel(
    connection: SshConnection, tunnel: Tunnel
) -> None:
    elsewhere = Tunnel(connection, 1)
    with _call(elsewhere.port) as sock:
        assert sock.recv(1) == b""
    elsewhere.close()
    assert _echo(tunnel.port, b"still here") == b"still here"


def test_a_caller_that_vanishes_leaves_nothing(tunnel: Tunnel) -> None:
    for _ in range(5):
        with _call(tunnel.port) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # ends with a reset
            sock.sendall(b"x" * 100_000)
    assert _echo(tunnel.port, b"hello") == b"hello"


def test_closing_ends_what_runs_and_frees_the_port_and_may_be_done_twice(
    connection: SshConnection, echo_port: int
) -> None:
    tunnel = Tunnel(connection, echo_port)
    with _call(tunnel.port) as sock:
        sock.sendall(b"a")
        assert sock.recv(1) == b"a"
        tunnel.close()
        assert sock.recv(1) == b""
    tunnel.close()
    assert not tunnel.alive
    assert connection.alive, "the connection is the caller's"
    with pytest.raises(ConnectionRefusedError):
        _call(tunnel.port)


def test_a_killed_pod_is_told_once_and_a_new_connection_brings_the_same_port_back(
    new_pod: Callable[..., LivePod], echo_port: int
) -> None:
    pod = new_pod()
    first = pod.connect()
    lost = threading.Semaphore(0)
    tunnel = Tunnel(first, echo_port, on_lost=lost.release)
    port = tunnel.port
    with _call(port) as sock:
        sock.sendall(b"a")
        assert sock.recv(1) == b"a"
        pod.kill()
        assert sock.recv(1) == b"", "what ran over it ends"
    assert lost.acquire(timeout=10)
    assert not tunnel.alive
    with _call(port) as sock:
        assert sock.recv(1) == b"", "a new caller is not left waiting"
    first.close()
    second = new_pod().connect()
    tunnel.reopen(second)
    assert (tunnel.port, tunnel.alive) == (port, True)
    assert _echo(port, b"again") == b"again"
    tunnel.close()
    second.close()
    assert not lost.acquire(blocking=False)


def test_closing_while_the_line_dies_leaves_nothing(
    pod: LivePod, echo_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Its channels raise whatever they like then, and the tunnel goes on to the next."""
    connection = pod.connect()
    tunnel = Tunnel(connection, echo_port)
    socks = [_call(tunnel.port) for _ in range(5)]
    for sock in socks:
        sock.sendall(b"a")
        assert sock.recv(1) == b"a"
    connection._transport.packetizer.close()  # as when the pod goes: the transport learns of it a moment later
    tunnel.close()
    for sock in socks:
        assert sock.recv(1) == b""
        sock.close()
    connection.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("autopod-tunnel")]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_reopening_while_the_old_connection_stands_is_no_loss(pod: LivePod, echo_port: int) -> None:
    first, second = pod.connect(), pod.connect()
    lost: list[int] = []
    tunnel = Tunnel(first, echo_port, on_lost=lambda: lost.append(1))
    tunnel.reopen(second)
    first.close()
    assert _echo(tunnel.port, b"hello") == b"hello"
    tunnel.close()
    second.close()
    assert lost == []
