"""A listening socket with a thread that hands on who knocks, and that can be woken to end."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable

from autopod_nb.threads import ServiceThread


class Listener:
    """Accepts connections until it is closed. Made with a socket that listens, which it owns from then on.

    Args:
        sock: bound and listening.
        name: of the thread.
        serve: takes each connection, and owns it; called in the thread, returns at once. An ``OSError`` of it closes
            the connection and changes nothing else.
        before_wait: called before each wait; the seconds that it returns are the longest wait, None for no end.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self,
        sock: socket.socket,
        name: str,
        serve: Callable[[socket.socket], None],
        *,
        before_wait: Callable[[], float | None] = lambda: None,
    ) -> None:
        sock.settimeout(0)  # whoever knocked may be gone again when we accept
        self.port: int = sock.getsockname()[1]
        self._sock, self._serve, self._before_wait = sock, serve, before_wait
        self._lock = threading.Lock()
        self._wake_up: socket.socket | None
        self._wake_up, self._woken = socket.socketpair()
        self._thread = ServiceThread(name, self._accept)

    def start(self) -> Listener:
        """Accept from now on. Returns itself."""
        self._thread.start()
        return self

    @property
    def alive(self) -> bool:
        """Whether it accepts."""
        return self._thread.alive

    def close(self) -> None:
        """Accept nothing any more; does not wait. Safe to call twice, in any thread."""
        self._thread.stop()
        with self._lock:
            wake_up, self._wake_up = self._wake_up, None
        if wake_up is not None:
            with wake_up, contextlib.suppress(OSError):
                wake_up.send(b"x")

    def join(self, timeout_s: float) -> bool:
        """Wait at most so many seconds for the end of its thread. Returns whether it has ended."""
        return self._thread.join(timeout_s)

    def _accept(self, stop: threading.Event) -> None:
        with self._sock, self._woken, selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not stop.is_set():
                selector.select(self._before_wait())
                if not stop.is_set():
                    self._accept_one()

    def _accept_one(self) -> None:
        with contextlib.suppress(OSError):  # nobody there, or gone again
            sock, _ = self._sock.accept()
            sock.settimeout(None)  # some systems hand down the listener's mode
            try:
                self._serve(sock)
            except OSError:
                sock.close()
