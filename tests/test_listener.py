"""A listening socket that is woken to end, and outlives whoever cannot be served."""

from __future__ import annotations

import queue
import socket
import threading

import pytest

from autopod_nb.listener import Listener

_WITHIN_S = 10.0


def _knock(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=_WITHIN_S)


def test_it_hands_on_who_knocks_and_one_that_cannot_be_served_does_not_end_it() -> None:
    served: queue.Queue[socket.socket] = queue.Queue()

    def serve(sock: socket.socket) -> None:
        if served.qsize() == 0 and not served_one.is_set():
            served_one.set()
            raise OSError("no room")
        served.put(sock)

    served_one = threading.Event()
    listener = Listener(socket.create_server(("127.0.0.1", 0)), "autopod-under-test", serve).start()
    with _knock(listener.port) as refused:
        assert refused.recv(1) == b"", "it is closed, and nobody waits"
    with _knock(listener.port) as knocking, served.get(timeout=_WITHIN_S) as taken:
        assert taken.getblocking()
        taken.sendall(b"x")
        assert knocking.recv(1) == b"x"
    listener.close()
    assert listener.join(_WITHIN_S)


def test_it_ends_while_nobody_knocks_and_the_port_is_free_then() -> None:
    listener = Listener(socket.create_server(("127.0.0.1", 0)), "autopod-under-test", lambda _: None).start()
    assert listener.alive
    listener.close()
    listener.close()
    assert listener.join(_WITHIN_S)
    assert [listener.alive] == [False]
    with pytest.raises(ConnectionRefusedError):
        _knock(listener.port)


def test_it_can_be_asked_to_look_again_and_again() -> None:
    """For whoever serves with deadlines."""
    looked = threading.Semaphore(0)

    def before_wait() -> float:
        looked.release()
        return 0.01

    sock = socket.create_server(("127.0.0.1", 0))
    listener = Listener(sock, "autopod-under-test", lambda _: None, before_wait=before_wait).start()
    assert all(looked.acquire(timeout=_WITHIN_S) for _ in range(3))
    listener.close()
    assert listener.join(_WITHIN_S)
