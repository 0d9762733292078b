"""The control server of a kernel: buttons and a page that work while a cell runs and after a reload.

Of the standard library only the parser of requests is used. Its servers start a thread a connection without a bound or
a name, do not wait for their ends, and ask the DNS for their own name.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
from collections.abc import Callable

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import Secret
from autopod_nb.listener import Listener
from autopod_nb.log import hide
from autopod_nb.models.action import Action, ActionAnswer
from autopod_nb.threads import ServiceThread
from autopod_nb.web.control_http import Service, make_handler

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_CLOSE_S = 5.0
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class ControlServer:
    """Listens on loopback; its port is open when it is made. Any thread may call its methods.

    Its repr does not show the token, and it logs nothing of any request.

    Args:
        read_state: what the page shows, JSON text without secrets; any thread, returns at once.
        act: takes a press; any thread, returns at once.
        instance: names this kernel's server, so that a page can tell it from another on the same port.
        max_requests: how many may be answered at once; more get a 503.
        patience_s: the longest wait for a client's next bytes; twice that for a whole request.

    Raises:
        OSError: no port can be had.

    Attributes:
        port: where it listens, on 127.0.0.1.
        token: whoever has it may act. Not for logs, traits, or files.
        instance: as given.
    """

    def __init__(
        self,
        read_state: Callable[[], str],
        act: Callable[[Action], ActionAnswer],
        *,
        instance: str = "",
        max_requests: int = 32,
        patience_s: float = 5.0,
    ) -> None:
        self.token = Secret(secrets.token_urlsafe(32))
        hide(self.token.reveal())
        self.instance = instance or secrets.token_hex(8)
        service = Service(self.instance, self.token, read_state, act)
        self._handle = make_handler(service, patience_s)
        self._max_requests, self._request_s = max_requests, 2 * patience_s
        self._clock: Clock = SystemClock()
        self._lock = threading.Lock()
        self._talks: dict[ServiceThread, tuple[socket.socket, Deadline]] = {}
        self._count = 0
        self._closed = False
        sock = socket.create_server((HOST, 0), backlog=64)
        self.port: int = sock.getsockname()[1]
        name = f"autopod-control-{self.port}"
        self._listener = Listener(sock, name, self._serve, before_wait=self._cut_overdue).start()

    def __repr__(self) -> str:
        return f"<ControlServer on port {self.port}>"

    def close(self) -> None:
        """Close the port and every connection; its threads have ended then. Safe to call twice."""
        with self._lock:
            self._closed = True
            talks = dict(self._talks)
        self._listener.close()
        for sock, _ in talks.values():
            _cut(sock)
        deadline = Deadline(self._clock, _CLOSE_S)
        threads: list[Listener | ServiceThread] = [self._listener, *talks]
        for thread in threads:
            if not thread.join(deadline.left_s()):
                _log.warning("a request of the control server on port %s does not end", self.port)

    def _cut_overdue(self) -> float | None:
        """End requests that take too long. Returns the seconds until the next may; None as long as there is none."""
        with self._lock:
            talks = list(self._talks.values())
        for sock, deadline in talks:
            if deadline.passed:
                _cut(sock)
        return max(0.05, min(deadline.left_s() for _, deadline in talks)) if talks else None

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            if self._closed or len(self._talks) >= self._max_requests:
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(0)
                    sock.send(_BUSY)
                return
            self._count += 1
            thread = ServiceThread(f"autopod-control-{self.port}-{self._count}", lambda _: self._talk(sock, thread))
            self._talks[thread] = (sock, Deadline(self._clock, self._request_s))
            try:
                thread.start()
            except RuntimeError as error:  # the system gives no more threads
                del self._talks[thread]
                sock.close()
                _log.warning("a request of the control server was dropped: %s", error)

    def _talk(self, sock: socket.socket, thread: ServiceThread) -> None:
        try:
            with sock, contextlib.suppress(OSError):  # the client went away, or was too slow
                self._handle(sock)
                sock.shutdown(socket.SHUT_WR)
        finally:
            with self._lock:
                self._talks.pop(thread, None)


def _cut(sock: socket.socket) -> None:
    """End a connection that another thread reads, which closes it then."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
