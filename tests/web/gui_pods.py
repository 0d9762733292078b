"""A pod's server that keeps every byte it gets, and a browser that sends whatever bytes it is told to."""

from __future__ import annotations

import base64
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPResponse

from autopod_nb.web.gui_proxy import GuiProxy

PATIENCE_S = 20.0
_WS_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Script = Callable[["Got"], bytes]


@dataclass
class Got:
    """One request: its head, byte by byte, and its body without chunks."""

    head: bytes
    body: bytes

    @property
    def first(self) -> str:
        return self.head.split(b"\r\n")[0].decode("latin-1")


def plain(body: bytes, *fields: bytes, status: bytes = b"200 OK") -> bytes:
    """An answer of known length."""
    head = b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *fields, b"", b""])
    return head + body


class RecordingPod:
    """Answers as its script says; the empty answer closes the connection. WebSockets get their frames back."""

    def __init__(self, script: Script = lambda _: plain(b"hello")) -> None:
        self.script = script
        self.got: list[Got] = []
        self.connections = 0
        self.last: socket.socket
        self._changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._socks: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="recording-pod")]
        self._threads[0].start()

    def wait(self, done: Callable[[], bool]) -> None:
        """Wait until something holds that a script brings about."""
        with self._changed:
            assert self._changed.wait_for(done, PATIENCE_S)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._socks):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(PATIENCE_S)
            assert not thread.is_alive()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self.connections += 1
                self._socks.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock,), name="recording-pod-line")
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket) -> None:
        with sock, suppress(OSError), sock.makefile("rb") as stream:
            while head := _head(stream.readline):
                got = Got(head, _body(head, stream.read, stream.readline))
                self.got.append(got)
                if b"upgrade: websocket" in head.lower():
                    sock.sendall(_accept_socket(head))
                    _echo(sock, stream.read)
                    return
                self.last = sock
                answer = self.script(got)
                with self._changed:
                    self._changed.notify_all()
                if not answer:
                    return
                sock.sendall(answer)


def _head(read_line: Callable[[], bytes]) -> bytes:
    lines = []
    while (line := read_line()) not in (b"\r\n", b""):
        lines.append(line)
    return b"".join(lines)


def _body(head: bytes, read: Callable[[int], bytes], read_line: Callable[[], bytes]) -> bytes:
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    if fields.get(b"transfer-encoding") != b"chunked":
        return read(int(fields.get(b"content-length", 0)))
    parts = []
    while size := int(read_line() or b"0", 16):
        parts.append(read(size))
        read(2)
    read_line()
    return b"".join(parts)


def _accept_socket(head: bytes) -> bytes:
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = hashlib.sha1(key.split(b": ")[1] + _WS_MAGIC).digest()  # noqa: S324 - the protocol says so
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade",
             b"Sec-WebSocket-Accept: " + base64.b64encode(digest), b"Set-Cookie: planted=1", b"", b""]  # fmt: skip
    return b"\r\n".join(lines)


def _echo(sock: socket.socket, read: Callable[[int], bytes]) -> None:
    while start := read(2):
        kind, size = start[0], start[1] & 127
        if size >= 126:
            size = struct.unpack(">H" if size == 126 else ">Q", read(2 if size == 126 else 8))[0]
        mask, data = read(4), bytearray(read(size))
        for place in range(4):
            data[place::4] = bytes(byte ^ mask[place] for byte in data[place::4])
        length = struct.pack(">BQ", 127, size)
        sock.sendall(bytes([kind]) + length + data)
        if kind & 15 == 8:
            return


@dataclass
class Answer:
    """What a browser got."""

    status: int
    fields: dict[str, str]
    body: bytes


class RawBrowser:
    """One connection, on which any bytes can be sent."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)

    def ask(self, data: bytes, method: str = "GET") -> Answer:
        self.sock.sendall(data)
        answer = HTTPResponse(self.sock, method=method)
        answer.begin()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def close(self) -> None:
        self.sock.close()


def ask(proxy: GuiProxy, target: str, *fields: str, method: str = "GET", host: str = "", body: bytes = b"") -> Answer:
    """One request on a connection of its own."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host or f'127.0.0.1:{proxy.port}'}", *fields]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    with browser(proxy) as raw:
        return raw.ask("\r\n".join([*lines, "", ""]).encode("latin-1") + body, method)


@contextmanager
def browser(proxy: GuiProxy) -> Iterator[RawBrowser]:
    raw = RawBrowser(proxy.port)
    try:
        yield raw
    finally:
        raw.close()
