"""One TCP connection that speaks HTTP/1, with bounded waits; and the list of those that are open."""

from __future__ import annotations

import contextlib
import re
import selectors
import socket
import threading
from collections.abc import Iterator

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.web.gui_head import MAX_HEAD_BYTES, BadMessage, Body, End

CHUNK_BYTES = 64 << 10
_CLOCK = SystemClock()
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?")
_MAX_LINE_BYTES = 4096
_MAX_TRAILERS = 100
_MAX_DRAINED_BYTES = 8 << 20
_LINGER_S = 2.0


class Cut(Exception):
    """A connection ended, or was silent for too long, in the middle of something.

    Args:
        wire: which of them.
    """

    def __init__(self, wire: Wire) -> None:
        super().__init__("connection cut")
        self.wire = wire


class Lines:
    """The connections that are open, so that all can be ended at once. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False

    def add(self, sock: socket.socket) -> None:
        """Keep one; it is ended at once if all were."""
        with self._lock:
            self._open.add(sock)
            closed = self._closed
        if closed:
            _shut(sock)

    def drop(self, sock: socket.socket) -> None:
        """Close one and forget it. Safe to call twice."""
        with self._lock:
            self._open.discard(sock)
        sock.close()

    def end(self) -> None:
        """End all that are open and all that come; their threads wake and close them."""
        with self._lock:
            self._closed = True
            found = list(self._open)
        for sock in found:
            _shut(sock)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it, as closing would not


class Wire:
    """A connection, and what was read of it too early. One thread.

    Args:
        sock: connected; closed by :meth:`close`.
        lines: where it is kept while it is open.
        patience_s: how long it may neither give nor take a byte.
    """

    def __init__(self, sock: socket.socket, lines: Lines, *, patience_s: float) -> None:
        self.sock = sock
        self._lines = lines
        self._patience_s = patience_s
        self._held = bytearray()
        lines.add(sock)
        with contextlib.suppress(OSError):  # gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Close it. Safe to call twice."""
        self._lines.drop(self.sock)

    def close_politely(self) -> None:
        """Say that no more comes, and take for a moment what the other side still sends.

        Closing with unread bytes resets the connection, and the other side may then never see our last answer.
        """
        deadline, taken = Deadline(_CLOCK, _LINGER_S), 0
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
            while not deadline.passed and taken < _MAX_DRAINED_BYTES:
                self.sock.settimeout(max(0.01, deadline.left_s()))
                data = self.sock.recv(CHUNK_BYTES)
                if not data:
                    break
                taken += len(data)
        self.close()

    def send(self, data: bytes) -> None:
        """Send all.

        Raises:
            Cut: it ended, or took nothing for too long.
        """
        try:
            self.sock.settimeout(self._patience_s)
            for start in range(0, len(data), CHUNK_BYTES):  # sendall's time-out is for all of it
                self.sock.sendall(data[start : start + CHUNK_BYTES])
        except (OSError, ValueError) as error:
            raise Cut(self) from error

    def is_gone(self) -> bool:
        """Whether the other side has ended; what it has sent stays to be read. Does not wait."""
        try:
            self.sock.settimeout(0)
            return not self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except (OSError, ValueError):
            return True

    def held(self) -> bytes:
        """Take what was read too early."""
        data = bytes(self._held)
        self._held.clear()
        return data

    def read_head(self, idle_s: float, whole_s: float) -> bytes | None:
        """Read up to an empty line.

        Args:
            idle_s: how long nothing at all may come.
            whole_s: how long it may take from the first byte on.

        Returns:
            What stands before the empty line; None if the other side ended, or nothing came.

        Raises:
            Cut: it ended in the middle, or took too long.
            BadMessage: it is too large.
        """
        if not self._held and not self._begins(idle_s):
            return None
        deadline, looked = Deadline(_CLOCK, whole_s), 0
        while True:
            while self._held.startswith(b"\r\n"):  # allowed before a request (RFC 9112, section 2.2)
                del self._held[:2]
            end = self._held.find(b"\r\n\r\n", max(0, looked - 3))
            if end >= 0:
                head = bytes(self._held[:end])
                del self._held[: end + 4]
                return head
            looked = len(self._held)
            if looked > MAX_HEAD_BYTES:
                raise BadMessage("the head is too large")
            if deadline.passed:
                raise Cut(self)
            self._fill(deadline.left_s())

    def body(self, body: Body) -> Iterator[bytes]:
        """The bytes of a body, in parts of at most :data:`CHUNK_BYTES`.

        Raises:
            Cut: it ended too early.
            BadMessage: its chunks are none.
        """
        if body.end is End.LENGTH:
            yield from self._counted(body.length)
        elif body.end is End.CHUNKS:
            while size := self._chunk_size():
                yield from self._counted(size)
                if self._line():
                    raise BadMessage("a chunk is longer than it says")
            for _ in range(_MAX_TRAILERS):
                if not self._line():  # trailers, which nobody needs
                    return
            raise BadMessage("too many trailers")
        else:
            while self._held or self._fill(self._patience_s, end_allowed=True):
                yield self._take(CHUNK_BYTES)

    def _counted(self, length: int) -> Iterator[bytes]:
        while length > 0:
            if not self._held:
                self._fill(self._patience_s)
            data = self._take(min(length, CHUNK_BYTES))
            length -= len(data)
            yield data

    def _chunk_size(self) -> int:
        found = _SIZE.fullmatch(self._line())
        if found is None:
            raise BadMessage("no size of a chunk")
        return int(found[1], 16)

    def _line(self) -> bytes:
        while (end := self._held.find(b"\r\n")) < 0:
            if len(self._held) > _MAX_LINE_BYTES:
                raise BadMessage("a line is too long")
            self._fill(self._patience_s)
        line = bytes(self._held[:end])
        del self._held[: end + 2]
        return line

    def _take(self, at_most: int) -> bytes:
        data = bytes(self._held[:at_most])
        del self._held[:at_most]
        return data

    def _begins(self, idle_s: float) -> bool:
        try:
            return self._fill(idle_s, end_allowed=True)
        except Cut:  # before a first byte that is no accident
            return False

    def _fill(self, timeout_s: float, *, end_allowed: bool = False) -> bool:
        """Wait for bytes. Returns False at the end, if that is allowed here.

        Raises:
            Cut: it ended where it must not, or nothing came.
        """
        try:
            self.sock.settimeout(max(0.01, timeout_s))
            data = self.sock.recv(CHUNK_BYTES)
        except (OSError, ValueError) as error:
            raise Cut(self) from error
        if not data and not end_allowed:
            raise Cut(self)
        self._held += data
        return bool(data)


def answers_before(pod: Wire, client: Wire, timeout_s: float) -> None:
    """Wait for the first byte of an answer, as long as the client is there to take it.

    Args:
        pod: where the answer comes from.
        client: who waits for it.
        timeout_s: how long.

    Raises:
        Cut: the client went away, or the pod said nothing.
    """
    deadline = Deadline(_CLOCK, timeout_s)
    with selectors.DefaultSelector() as selector:
        selector.register(pod.sock, selectors.EVENT_READ)
        selector.register(client.sock, selectors.EVENT_READ)
        while not deadline.passed:
            ready = {key.fileobj for key, _ in selector.select(deadline.left_s())}
            if pod.sock in ready:
                return
            if client.sock in ready:
                if client.is_gone():
                    raise Cut(client)
                selector.unregister(client.sock)  # it sends its next request already
    raise Cut(pod)
