"""The relay does to a line exactly what it was told, and to no other."""

from __future__ import annotations

import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.fakes.relay import Line, Relay, clock_s
from tests.fakes.relay_pair import RESET

_PATIENCE_S = 10.0
_SILENT_S = 0.2  # nothing has come for so long
_BACK = b"and back"


class _Echo(socketserver.BaseRequestHandler):
    """Sends back what comes until the other side has no more."""

    def handle(self) -> None:
        try:
            while data := self.request.recv(1 << 16):
                self.request.sendall(data)
        except OSError:
            return


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 64


@pytest.fixture
def echo_port() -> Iterator[int]:
    with _Server(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="echo")
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(_PATIENCE_S)


@pytest.fixture
def relay(echo_port: int) -> Iterator[Relay]:
    with Relay(echo_port) as relay:
        yield relay


@pytest.fixture
def line(relay: Relay) -> Iterator[socket.socket]:
    with call(relay.port) as line:
        assert said(line, b"hello") == b"hello"
        yield line


def call(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)


def read(line: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count and (data := line.recv(count - len(found))):
        found += data
    return bytes(found)


def said(line: socket.socket, data: bytes) -> bytes:
    """What comes back."""
    line.sendall(data)
    return read(line, len(data))


def is_silent(line: socket.socket) -> bool:
    line.settimeout(_SILENT_S)
    try:
        return not line.recv(1) and False
    except TimeoutError:
        return True
    finally:
        line.settimeout(_PATIENCE_S)


def through(port: int, data: bytes) -> bytes:
    """Send it all, say that there is no more, and read to the end."""
    with call(port) as line, ThreadPoolExecutor(1) as pool:

        def send() -> None:
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)

        sending = pool.submit(send)
        found = read(line, len(data) + 1)
        sending.result(_PATIENCE_S)
        return found


def test_bytes_pass_unchanged_and_are_counted_each_way(relay: Relay) -> None:
    data = os.urandom(5_000_000)
    assert through(relay.port, data) == data
    assert (relay.bytes_up, relay.bytes_down, relay.accepted) == (len(data), len(data), 1)


def test_many_connections_do_not_mix(relay: Relay) -> None:
    sent = [bytes([number]) * 300_000 for number in range(12)]
    with ThreadPoolExecutor(len(sent)) as pool:
        assert list(pool.map(lambda data: through(relay.port, data), sent)) == sent


def test_a_delay_counts_each_way_and_not_for_each_byte(relay: Relay) -> None:
    """A long line is not a narrow one: a megabyte is under way at once."""
    relay.shape(up=Line(delay_s=0.05), down=Line(delay_s=0.1))
    data = os.urandom(1 << 20)
    began_s = clock_s()
    assert through(relay.port, data) == data
    took_s = clock_s() - began_s
    assert took_s >= 0.15
    assert took_s < 3, "it took the delay for each piece"


def test_a_narrow_line_passes_no_more_than_it_can(relay: Relay) -> None:
    relay.shape(down=Line(bytes_per_s=1_000_000))
    data = os.urandom(500_000)
    began_s = clock_s()
    assert through(relay.port, data) == data
    assert clock_s() - began_s >= 0.49


def test_a_cut_with_a_reset_is_a_reset_on_both_sides(relay: Relay, line: socket.socket) -> None:
    relay.cut()
    with pytest.raises(ConnectionResetError):
        line.recv(1)
    assert relay.open_count == 0
    assert through(relay.port, _BACK) == _BACK


def test_a_cut_with_a_goodbye_is_an_end_on_both_sides(relay: Relay, line: socket.socket) -> None:
    relay.cut(reset=False)
    assert line.recv(1) == b""
    assert through(relay.port, _BACK) == _BACK


def test_a_stalled_connection_is_silent_and_open_while_a_new_one_works(relay: Relay, line: socket.socket) -> None:
    relay.stall()
    line.sendall(b"anybody")
    assert is_silent(line)
    assert through(relay.port, _BACK) == _BACK
    relay.resume()
    assert read(line, 7) == b"anybody"
    assert said(line, _BACK) == _BACK


def test_what_a_side_had_sent_before_it_gave_up_still_arrives(relay: Relay, line: socket.socket) -> None:
    """As over a long line, or through a machine between: a reset overtakes nothing."""
    relay.shape(up=Line(delay_s=0.05))
    relay.stall()
    passed = relay.bytes_up
    line.sendall(b"anybody")
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    line.close()
    relay.resume()
    deadline_s = clock_s() + _PATIENCE_S
    while relay.open_count:
        assert clock_s() < deadline_s, "it does not end"
        threading.Event().wait(0.01)
    assert relay.bytes_up == passed + len(b"anybody")


def test_what_is_held_passes_when_it_is_released_and_nothing_is_lost(relay: Relay, line: socket.socket) -> None:
    relay.hold()
    line.sendall(b"anybody")
    with call(relay.port) as new:
        new.sendall(_BACK)
        assert is_silent(line)
        assert is_silent(new)
        relay.release()
        assert read(line, 7) == b"anybody"
        assert read(new, len(_BACK)) == _BACK


def test_refused_are_only_new_connections_and_only_until_they_are_admitted(relay: Relay, line: socket.socket) -> None:
    relay.refuse()
    with pytest.raises(ConnectionResetError), call(relay.port) as new:
        new.recv(1)
    assert said(line, _BACK) == _BACK
    relay.admit()
    assert through(relay.port, _BACK) == _BACK


def test_after_a_move_it_is_found_at_the_new_port_only(relay: Relay, line: socket.socket) -> None:
    old = relay.port
    relay.move()
    assert relay.port != old
    with pytest.raises(ConnectionRefusedError):
        call(old)
    assert through(relay.port, _BACK) == _BACK
    assert said(line, _BACK) == _BACK, "what is open stays"


@pytest.mark.parametrize("down", [True, False])
def test_the_line_is_cut_at_the_very_byte(relay: Relay, *, down: bool) -> None:
    data = os.urandom(1_000_000)
    came_at = relay.cut_after(123_457, down=down)
    began_s = clock_s()
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        through(relay.port, data)
    assert began_s <= came_at.result(_PATIENCE_S) <= clock_s()
    assert (relay.bytes_down if down else relay.bytes_up) == 123_457
    assert through(relay.port, data) == data, "it is cut once"


def test_a_server_that_is_not_there_looks_like_one_that_hangs_up(echo_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with Relay(taken.getsockname()[1]) as relay, call(relay.port) as line:
            assert line.recv(1) == b""


def test_closing_cuts_what_is_open_and_may_be_done_twice(relay: Relay, line: socket.socket) -> None:
    relay.stall()
    relay.close()
    relay.close()
    with pytest.raises(ConnectionResetError):
        line.recv(1)
    with pytest.raises(ConnectionRefusedError):
        call(relay.port)
    with pytest.raises(RuntimeError, match="has ended"):
        relay.cut()


def test_as_a_program_it_is_a_long_line_that_ends_with_its_input(echo_port: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fakes.relay", str(echo_port), "30"],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        began_s = clock_s()
        assert through(port, _BACK) == _BACK
        assert clock_s() - began_s >= 0.06
        process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 0
