"""The public port of a pod: a listener that hands connections on to the pod's SSH server, or drops them."""

from __future__ import annotations

import asyncio
import contextlib
import socket

_HOST = "127.0.0.1"
_CHUNK = 1 << 16
_TRIES = 20


def listen_elsewhere(not_this: int | None) -> socket.socket:
    """A listening socket on a free port that is not the one before (4.3)."""
    refused = []
    try:
        for _ in range(_TRIES):
            sock = socket.create_server((_HOST, 0), backlog=64)
            if sock.getsockname()[1] != not_this:
                return sock
            refused.append(sock)
    finally:
        for each in refused:
            each.close()
    raise OSError("there is no other free port")


class Forwarder:
    """It listens as soon as it is made; :meth:`serve` takes up the connections.

    Until the pod's own port is known, connections are dropped at once: the mapping appears before sshd does (4.4).
    """

    def __init__(self, not_this: int | None) -> None:
        self._socket = listen_elsewhere(not_this)
        self.port: int = self._socket.getsockname()[1]
        self.inner_port: int | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def serve(self) -> None:
        server = await asyncio.start_server(self._accept, sock=self._socket)
        if self._is_closed:
            server.close()
        self._server = server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            if self.inner_port is not None:
                inner_reader, inner_writer = await asyncio.open_connection(_HOST, self.inner_port)
                try:
                    await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
                finally:
                    inner_writer.close()
        except (OSError, asyncio.CancelledError):
            pass  # either side is gone, or the port is: the client sees its end
        finally:
            writer.close()

    def close(self) -> None:
        """Stop listening and cut what goes through. Safe to call twice."""
        self._is_closed = True
        if self._server is None:
            self._socket.close()
        else:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes until one side ends; then the other side's way out is ended, too."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
