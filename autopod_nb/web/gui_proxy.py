"""The loopback proxy between the frame in a notebook and the tunnel to a pod's ComfyUI.

ComfyUI has no login: whoever reaches the tunnel's port can run everything on the pod, and whatever a browser sends
along to that port, the pod gets. So pages come through here: only below a secret prefix, only from our own pages, and
with nothing that belongs to the notebook. ``gui_address`` and ``gui_headers`` hold the rules.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.listener import Listener
from autopod_nb.threads import ServiceThread
from autopod_nb.web.gui_door import Door
from autopod_nb.web.gui_head import make_head
from autopod_nb.web.gui_pod import PodEnd, Times
from autopod_nb.web.gui_talk import Talk
from autopod_nb.web.gui_upload import Source, UploadLimit
from autopod_nb.web.gui_wire import Lines, Wire

_log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_SECRET_BYTES = 24
_DIAL_S = 5.0
_CLOSE_S = 5.0
_USUAL_TIMES = Times()
_BUSY = make_head("HTTP/1.1 503 Service Unavailable", [("Content-Length", "0"), ("Connection", "close")])


class GuiProxy:
    """Listens on loopback and leads to one pod, and to nothing else. Its port is open when it is made.

    Any thread may call its methods. Its repr does not show the prefix, and it logs no path.

    Args:
        upstream_port: of the tunnel to the pod, on this machine.
        max_upload_bytes: the largest body that goes to the pod, or who knows it; None asks the pod's ``/features``.
        max_connections: how many may be open at once, WebSockets included.
        times: how long it waits for whom.

    Raises:
        OSError: no port can be had.

    Attributes:
        port: where it listens, on 127.0.0.1.
        prefix: ``/SECRET/``: every address begins with it. Not for logs, traits, or files.
    """

    def __init__(
        self,
        upstream_port: int,
        *,
        max_upload_bytes: Source = None,
        max_connections: int = 128,
        times: Times = _USUAL_TIMES,
    ) -> None:
        self.upstream_port = upstream_port
        self.prefix = f"/{secrets.token_urlsafe(_SECRET_BYTES)}/"
        self._times = times
        self._max_connections = max_connections
        self._limit = UploadLimit(max_upload_bytes, self._dial, upstream_port)
        self._lines = Lines()
        self._lock = threading.Lock()
        self._talks: set[ServiceThread] = set()
        self._count = 0
        self._closed = False
        sock = socket.create_server((HOST, 0), backlog=128)
        self.port: int = sock.getsockname()[1]
        self._door = Door(self.prefix, port=self.port, pod_port=upstream_port)
        self._listener = Listener(sock, f"autopod-gui-{self.port}", self._serve).start()

    def __repr__(self) -> str:
        return f"<GuiProxy on port {self.port} to port {self.upstream_port}>"

    def allow_origin(self, origin: str) -> None:
        """Let a page find the way here, frame what is here, and ask for it through its own server.

        Args:
            origin: ``location.origin`` of the notebook's page.

        Raises:
            ValueError: it is none, or ``null``.
        """
        self._door.allow(origin)

    def close(self) -> None:
        """Close the port and every connection; its threads have ended then. Safe to call twice."""
        with self._lock:
            self._closed = True
            talks = list(self._talks)
        self._listener.close()
        for talk in talks:
            talk.stop()
        self._lines.end()
        deadline = Deadline(SystemClock(), _CLOSE_S)
        threads: list[Listener | ServiceThread] = [self._listener, *talks]
        for thread in threads:
            if not thread.join(deadline.left_s()):
                _log.warning("a connection of the proxy on port %s does not end", self.port)

    def _serve(self, sock: socket.socket) -> None:
        with self._lock:
            if self._closed or len(self._talks) >= self._max_connections:
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(0)
                    sock.send(_BUSY)
                return
            self._count += 1
            thread = ServiceThread(
                f"autopod-gui-{self.port}-{self._count}", lambda stop: self._talk(sock, thread, stop)
            )
            self._talks.add(thread)
            thread.start()

    def _talk(self, sock: socket.socket, thread: ServiceThread, stop: threading.Event) -> None:
        try:
            client = Wire(sock, self._lines, patience_s=self._times.patience_s)
            pod = PodEnd(self._dial, port=self.upstream_port, limit=self._limit, times=self._times)
            Talk(client, self._door, pod, self._times).run(stop)
        finally:
            with self._lock:
                self._talks.discard(thread)

    def _dial(self) -> Wire:
        """A connection to the pod, and to nowhere else.

        Raises:
            OSError: the tunnel is closed.
        """
        sock = socket.create_connection((HOST, self.upstream_port), timeout=_DIAL_S)
        return Wire(sock, self._lines, patience_s=self._times.patience_s)
