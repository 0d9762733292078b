"""A local port that leads to a port on the pod."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable

import paramiko

from autopod_nb.errors import SshError
from autopod_nb.listener import Listener
from autopod_nb.ssh.line import SshConnection
from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_PORTS_TRIED = 51
_CHUNK_BYTES = 128 << 10
_CLOSE_S = 2.0
_CUT = (OSError, EOFError, paramiko.SSHException)  # what a channel raises when its connection ends under it


class Tunnel:
    """Listens on loopback and carries each connection over SSH to the pod.

    When it is made the port is bound and served. It outlives an SSH connection: :meth:`reopen` gives it the next one.

    Args:
        connection: carries it; the caller closes it, after this one.
        remote_port: port on the pod's own loopback.
        wanted_port: the first local port that is tried; then the next 50, then any.
        on_lost: called once for each SSH connection that is lost under it, in a thread.

    Raises:
        SshError: no local port can be had.
    """

    def __init__(
        self,
        connection: SshConnection,
        remote_port: int,
        *,
        wanted_port: int = 8188,
        on_lost: Callable[[], None] | None = None,
    ) -> None:
        self._on_lost = on_lost
        self._remote_port = remote_port
        sock = _listen(wanted_port)
        self.port: int = sock.getsockname()[1]
        """The local port, which stays the same."""
        self._lock = threading.Lock()
        self._relays: set[_Relay] = set()
        self._connection: SshConnection | None = None
        self._forget: Callable[[], None] = lambda: None
        self._listener = Listener(sock, f"autopod-tunnel-{self.port}", self._serve)
        self.reopen(connection)
        self._listener.start()

    @property
    def alive(self) -> bool:
        """Whether it listens and its SSH connection stands."""
        connection = self._connection
        return self._listener.alive and connection is not None and connection.alive

    def reopen(self, connection: SshConnection) -> None:
        """Go on with another SSH connection on the same local port. What runs over the old one ends."""
        with self._lock:
            self._connection = connection
            forget, old = self._forget, list(self._relays)

            def lost() -> None:
                self._lose(connection)

            self._forget = lambda: connection.forget(lost)
        forget()
        for relay in old:
            relay.close()
        connection.on_lost(lost)

    def close(self) -> None:
        """Close the port and what runs over it; its threads have ended then. Safe to call twice, in any thread."""
        with self._lock:
            self._connection = None
            forget, self._forget = self._forget, lambda: None
        forget()
        self._listener.close()
        self._listener.join(_CLOSE_S)
        with self._lock:
            relays = list(self._relays)
        for relay in relays:
            relay.close()
        until = time.monotonic() + _CLOSE_S
        for relay in relays:
            relay.join(max(0.0, until - time.monotonic()))

    def _lose(self, connection: SshConnection) -> None:
        with self._lock:
            is_current = self._connection is connection
        if is_current and self._on_lost is not None:
            self._on_lost()

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            connection = self._connection
            if connection is None or not connection.alive:
                sock.close()  # at once: nobody shall wait for an answer that cannot come
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            relay = _Relay(sock, connection, (HOST, self._remote_port), self._ended)
            self._relays.add(relay)
        relay.start()

    def _ended(self, relay: _Relay) -> None:
        with self._lock:
            self._relays.discard(relay)


class _Relay:
    """One connection: two threads, one for each way."""

    def __init__(
        self,
        sock: socket.socket,
        connection: SshConnection,
        remote: tuple[str, int],
        on_end: Callable[[_Relay], None],
    ) -> None:
        self._sock = sock
        self._ssh = connection
        self._remote = remote
        self._on_end = on_end
        self._lock = threading.Lock()
        self._ways_open = 2
        self._closed = False
        self._channel: paramiko.Channel | None = None
        name = f"autopod-tunnel-{sock.getsockname()[1]}"
        self._down = ServiceThread(f"{name}-down", self._run)
        self._up = ServiceThread(f"{name}-up", self._run_up)

    def start(self) -> None:
        self._down.start()

    def join(self, timeout_s: float) -> None:
        self._down.join(timeout_s)

    def close(self) -> None:
        """End both ways at once."""
        with self._lock:
            self._closed = True
            channel = self._channel
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it, as closing would not
        if channel is not None:
            _end(channel)

    def _run(self, _: threading.Event) -> None:
        try:
            channel = self._ssh.open_channel(*self._remote)
        except SshError as error:
            _log.info("tunnel: %s", error)
        else:
            with self._lock:
                self._channel = channel
                closed = self._closed
            if closed:
                _end(channel)
            self._carry(channel)
        finally:
            self._sock.close()
            self._on_end(self)

    def _carry(self, channel: paramiko.Channel) -> None:
        """Carry what comes down in this thread and what goes up in another, until both have ended."""
        self._up.start()
        try:
            while data := channel.recv(_CHUNK_BYTES):
                self._sock.sendall(data)
            self._sock.shutdown(socket.SHUT_WR)
        except _CUT:
            _end(channel)
        self._end_way(channel)
        channel.status_event.wait()  # set when the channel is closed, by the pod, by us, or with the SSH connection
        self.close()
        self._up.join(_CLOSE_S)

    def _run_up(self, _: threading.Event) -> None:
        channel = self._channel
        assert channel is not None  # noqa: S101 - set before this thread starts
        try:
            while data := self._sock.recv(_CHUNK_BYTES):
                channel.sendall(data)
            channel.shutdown_write()
        except _CUT:
            _end(channel)
        self._end_way(channel)

    def _end_way(self, channel: paramiko.Channel) -> None:
        """One side has said that it has no more; the other may go on. After both, the channel has no use."""
        with self._lock:
            self._ways_open -= 1
            over = self._ways_open == 0
        if over:
            _end(channel)


def _end(channel: paramiko.Channel) -> None:
    with contextlib.suppress(*_CUT):
        channel.close()


def _listen(wanted_port: int) -> socket.socket:
    """A listening socket on the first free port from the wanted one, else on any."""
    ports = [port for port in range(wanted_port, wanted_port + _PORTS_TRIED) if 0 < port < 65536]
    for port in [*ports, 0]:
        listener = _bind(port)
        if listener is not None:
            return listener
    raise SshError(f"No local port can be opened, neither {wanted_port} nor another; close some programs.")


def _bind(port: int) -> socket.socket | None:
    """A socket that listens there; None if somebody else does.

    Raises:
        SshError: it is not the port that is at fault.
    """
    sock = socket.socket()
    if sys.platform == "linux":  # elsewhere it would share a port with a program that listens on all addresses
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
        sock.listen(128)  # another process may have bound it as well, and listen first
    except OSError as error:
        sock.close()
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise SshError(f"Cannot listen on {HOST}: {error.strerror}") from error
        return None
    return sock
