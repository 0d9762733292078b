"""One WebSocket to ComfyUI: opened once, read by one thread, ended by any."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import cast
from urllib.parse import urlencode, urlsplit

import websocket

_OPEN_TIMEOUT_S = 5.0
_AHEAD_BYTES = 16 << 10
_LONGEST_MESSAGE_BYTES = 64_000_000  # a large preview is one megabyte
_BROKEN = (websocket.WebSocketException, OSError, ValueError, LookupError)  # garbage in the handshake raises anything


class LineLost(Exception):
    """The socket did not open, or is gone. Never leaves the monitor."""


class _Bounded(websocket.WebSocket):
    """A WebSocket that refuses messages without end, and takes at once what has come, though it asks for pieces."""

    unread_bytes = 0
    _kept, _kept_from = b"", 0

    def _recv(self, bufsize: int) -> bytes:
        begin = self._kept_from
        if begin < len(self._kept):
            self._kept_from = min(len(self._kept), begin + bufsize)
            return self._counted(self._kept[begin : self._kept_from])
        received = cast("bytes", super()._recv(max(bufsize, _AHEAD_BYTES)))  # type: ignore[no-untyped-call] # the library types only a part
        if len(received) <= bufsize:
            return self._counted(received)
        self._kept, self._kept_from = received, bufsize
        return self._counted(received[:bufsize])

    def _counted(self, received: bytes) -> bytes:
        self.unread_bytes += len(received)
        if self.unread_bytes > _LONGEST_MESSAGE_BYTES:
            raise websocket.WebSocketProtocolException(f"a message of more than {_LONGEST_MESSAGE_BYTES:,} bytes")
        return received


class Line:
    """One connection under one client id. All but :meth:`abort` belong to the thread that reads.

    Args:
        base_url: for example ``http://127.0.0.1:8188``.
        client_id: under which the server knows this socket.
    """

    def __init__(self, base_url: str, client_id: str) -> None:
        parts = urlsplit(base_url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._url = f"ws://{parts.netloc}{parts.path}/ws?{urlencode({'clientId': client_id})}"
        self._socket = socket.socket(socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET)
        self._ws = _Bounded(skip_utf8_validation=True)  # in pure Python that costs more than all the rest
        self._first: str | bytes | None = None

    def open(self, features: str, *, tick_s: float) -> None:
        """Connect, say what we can do, and wait for the server's first message: from then on it knows the client id.

        Args:
            features: our ``feature_flags`` message, which must be the first one.
            tick_s: how long :meth:`receive` waits.

        Raises:
            LineLost: it cannot be opened.
        """
        try:
            self._socket.settimeout(_OPEN_TIMEOUT_S)
            self._socket.connect(self._address)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # an Origin would have to match the host that ComfyUI sees; proxies are not for a tunnel on this machine
            self._ws.connect(  # type: ignore[no-untyped-call] # the same
                self._url, socket=self._socket, suppress_origin=True, timeout=_OPEN_TIMEOUT_S
            )
            self._ws.send(features)
            self._first = self._next()
            self._socket.settimeout(tick_s)
        except websocket.WebSocketBadStatusException as error:
            raise LineLost(f"refused with status {error.status_code}") from error
        except _BROKEN as error:
            raise LineLost(_said(error)) from error

    def receive(self) -> str | bytes | None:
        """The next message: text, bytes, an empty one as a sign of life; None when nothing came for a tick.

        Raises:
            LineLost: it is gone.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        try:
            return self._next()
        except websocket.WebSocketTimeoutException:
            return None  # what came of a message is kept
        except _BROKEN as error:
            raise LineLost(_said(error)) from error

    def _next(self) -> str | bytes:
        opcode, data = self._ws.recv_data(control_frame=True)
        self._ws.unread_bytes = 0
        if opcode == websocket.ABNF.OPCODE_TEXT:
            return cast("bytes", data).decode(errors="replace")
        if opcode == websocket.ABNF.OPCODE_BINARY:
            return bytes(data)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            raise LineLost("closed by the server")
        return ""

    def ping(self) -> None:
        """Ask for a sign of life.

        Raises:
            LineLost: it is gone.
        """
        try:
            self._ws.ping()
        except _BROKEN as error:
            raise LineLost(_said(error)) from error

    def abort(self) -> None:
        """Let whatever waits on it fail at once. In any thread."""
        with suppress(OSError):  # not connected, or over already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Say goodbye, without waiting for an answer. Safe to call twice."""
        with suppress(*_BROKEN):
            self._ws.close(timeout=0)
        self._ws.shutdown()  # type: ignore[no-untyped-call] # the same
        self._socket.close()


def _said(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or str(error) or type(error).__name__).split())
