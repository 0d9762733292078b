"""The socket under an SSH connection: it reads ahead, loses nothing, and wakes who waits when it closes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from autopod_nb.ssh.counted_socket import CountedSocket


@pytest.fixture
def pair() -> Iterator[tuple[CountedSocket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        plain = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near = CountedSocket(plain.family, plain.type, plain.proto, plain.detach())
    near.settimeout(5.0)
    with near, far:
        yield near, far


def test_what_comes_at_once_is_handed_out_in_pieces_and_counted_once(pair: tuple[CountedSocket, socket.socket]) -> None:
    near, far = pair
    far.sendall(bytes(range(100)))
    assert near.recv(4) == bytes(range(4))
    assert near.bytes_received == 100
    assert near.recv(96) == bytes(range(4, 100))
    assert near.bytes_received == 100
    assert near.silent_s < 5.0


def test_large_and_small_pieces_come_in_order(pair: tuple[CountedSocket, socket.socket]) -> None:
    near, far = pair
    data = bytes(number * 7 % 256 for number in range(300_000))
    sender = threading.Thread(target=far.sendall, args=(data,))
    sender.start()
    came = bytearray()
    sizes = [1, 16, 40_000, 5, 100_000, 16_384, 3]
    while len(came) < len(data):
        came += near.recv(sizes[len(came) % len(sizes)])
    sender.join()
    assert bytes(came) == data


def test_nothing_in_time_is_a_time_out_and_loses_nothing(pair: tuple[CountedSocket, socket.socket]) -> None:
    near, far = pair
    far.sendall(b"ab")
    assert near.recv(1) == b"a"
    assert near.recv(1) == b"b"
    near.settimeout(0.01)
    with pytest.raises(TimeoutError):
        near.recv(1)
    far.sendall(b"c")
    near.settimeout(5.0)
    assert near.recv(1) == b"c"


def test_whoever_waits_is_woken_when_it_is_closed(pair: tuple[CountedSocket, socket.socket]) -> None:
    near, _ = pair
    near.settimeout(30.0)

    def wait() -> None:
        with contextlib.suppress(OSError):  # closed before it began
            near.recv(1)

    reader = threading.Thread(target=wait)
    reader.start()
    near.close()
    near.close()
    reader.join(5.0)
    assert not reader.is_alive()
