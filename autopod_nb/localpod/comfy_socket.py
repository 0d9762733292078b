"""Who hears what on `/ws`.

A table of client ids points to sockets. Its flaw is kept on purpose, for clients must live with it: two sockets with
one client id share one row, the newer one gets the messages, and whichever ends first deletes the row for both.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from aiohttp import WSMsgType, web

MAX_WAITING_FRAMES = 20_000  # guessed: a socket whose client reads nothing for so long is ended
FEATURES: Mapping[str, Any] = {
    "supports_preview_metadata": True,
    "max_upload_size": 104_857_600,  # bytes
    "extension": {"manager": {"supports_v4": True}},
}

Frame = str | bytes


class Binary(IntEnum):
    """Kinds of binary frames: their first four bytes, big-endian."""

    PREVIEW = 1
    TEXT = 3
    PREVIEW_WITH_METADATA = 4


@dataclass(eq=False, slots=True)
class Row:
    """One socket, its client's announcements, and the frames that it has yet to get."""

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    flags: Mapping[str, Any] = field(default_factory=dict)
    frames: asyncio.Queue[Frame] = field(default_factory=asyncio.Queue)

    async def pump(self) -> None:
        """Send the frames, until cancelled or the connection breaks."""
        while True:
            frame = await self.frames.get()
            try:
                await (self.socket.send_str(frame) if isinstance(frame, str) else self.socket.send_bytes(frame))
            except ConnectionError:
                return  # the reading side ends by itself

    def put(self, frame: Frame) -> None:
        """Send a frame in its turn; ends a socket that has long stopped reading."""
        self.frames.put_nowait(frame)
        if self.frames.qsize() > MAX_WAITING_FRAMES and self.transport is not None:
            self.transport.abort()


class SocketHub:
    """The table of client ids. `send` and `has` may be called from any thread, all else on the event loop.

    Args:
        log: The server's log.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._rows: dict[str, Row] = {}
        self._open: set[web.WebSocketResponse] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: deque[tuple[str | None, Frame]] = deque()
        self._lock = threading.Lock()
        self._drain_due = False

    def bind(self) -> None:
        """Deliver on the running event loop from now on."""
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        """End all sockets."""
        self._loop = None
        for socket in list(self._open):
            await socket.close()

    def send(self, event: str, data: Mapping[str, Any], client_id: str | None = None) -> None:
        """Send a message to one client, or to all; dropped for a client that is not connected.

        The data is written out at once and may change afterwards. The order of calls is the order of arrival.
        """
        if client_id is None or client_id in self._rows:
            self._post(client_id, json.dumps({"type": event, "data": data}))

    def send_binary(self, event: Binary, payload: bytes, client_id: str | None = None) -> None:
        """Send a binary frame to one client, or to all."""
        if client_id is None or client_id in self._rows:
            self._post(client_id, struct.pack(">I", event) + payload)

    def has(self, client_id: str, flag: str | None = None) -> bool:
        """Say whether a client is connected and, if a flag is named, has announced it."""
        row = self._rows.get(client_id)
        return row is not None and (flag is None or row.flags.get(flag) is True)

    def _post(self, client_id: str | None, frame: Frame) -> None:
        with self._lock:
            self._outbox.append((client_id, frame))
            if self._drain_due or self._loop is None:
                return
            self._drain_due = True
        with contextlib.suppress(RuntimeError):  # the loop ended between the two lines
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        with self._lock:
            self._drain_due = False
            posted, self._outbox = self._outbox, deque()
        for client_id, frame in posted:
            for row in list(self._rows.values()) if client_id is None else [self._rows.get(client_id)]:
                if row is not None:
                    row.put(frame)

    async def serve(self, request: web.Request, greeting: Callable[[str], list[tuple[str, Any]]]) -> web.StreamResponse:
        """Serve one socket until it ends.

        Args:
            request: The handshake.
            greeting: Takes the client id and returns the messages to begin with.
        """
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query.get("clientId") or uuid.uuid4().hex
        row = self._rows[client_id] = Row(socket, request.transport)
        self._open.add(socket)
        pump = asyncio.create_task(row.pump())
        for event, data in greeting(client_id):
            row.put(json.dumps({"type": event, "data": data}))
        try:
            await self._listen(client_id, row)
        finally:
            self._rows.pop(client_id, None)  # the row of whoever has it by now: see the module's docstring
            self._open.discard(socket)
            pump.cancel()
        return socket

    async def _listen(self, client_id: str, row: Row) -> None:
        """Read until the socket ends; only `feature_flags`, as the first JSON object, means anything."""
        first = True
        async for message in row.socket:
            if message.type is not WSMsgType.TEXT:
                continue
            try:
                data = json.loads(message.data)
            except ValueError:
                self._log.warning("Invalid JSON received from client %s: %s", client_id, message.data)
                continue
            if not isinstance(data, dict):
                self._log.error("Error processing WebSocket message: not an object")
                continue
            if first and data.get("type") == "feature_flags":
                flags = data.get("data")
                current = self._rows.get(client_id)
                if current is not None:
                    current.flags = flags if isinstance(flags, dict) else {}
                    current.put(json.dumps({"type": "feature_flags", "data": FEATURES}))
            first = False
