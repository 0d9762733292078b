"""The server's log: on stderr, in memory for `/internal/logs`, and live for those who subscribed."""

from __future__ import annotations

import logging
import sys
from collections import deque
from datetime import datetime
from typing import Any

from aiohttp import web

from .comfy_socket import SocketHub

KEPT_LINES = 300  # writes that `/internal/logs` shows, as the real server keeps them
TERMINAL_SIZE = {"cols": 80, "rows": 24}


class LogStream(logging.Handler):
    """Keeps the last lines and sends new ones to subscribers. Called from any thread."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: deque[dict[str, str]] = deque(maxlen=KEPT_LINES)
        self._hub: SocketHub | None = None
        self._told_size: dict[str, bool] = {}

    def attach(self, hub: SocketHub) -> None:
        """Send through this hub from now on."""
        self._hub = hub

    def subscribe(self, client_id: str, *, enabled: bool) -> None:
        """Begin or end sending lines to a client."""
        self._told_size.pop(client_id, None)
        if enabled:
            self._told_size[client_id] = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep and send one record."""
        now = datetime.now().astimezone().replace(tzinfo=None)  # local time without zone, as the real server writes it
        entry = {"t": now.isoformat(), "m": self.format(record) + "\n"}
        self.entries.append(entry)
        for client_id, told in list(self._told_size.items()):
            if self._hub is None or not self._hub.has(client_id):
                self._told_size.pop(client_id, None)
                continue
            self._told_size[client_id] = True
            self._hub.send("logs", {"entries": [entry], "size": None if told else TERMINAL_SIZE}, client_id)


def open_log(stream: LogStream) -> logging.Logger:
    """Return a log of its own that writes to stderr and to the stream.

    It is not in the registry of `logging`: two servers in one process do not share it. Like the real server it knows
    no file: whoever starts it redirects stderr.
    """
    log = logging.Logger("comfyui", logging.INFO)
    for handler in (logging.StreamHandler(sys.stderr), stream):
        log.addHandler(handler)
    return log


class LogRoutes:
    """`/internal/logs` and its like; none of them has a twin under `/api`."""

    def __init__(self, stream: LogStream) -> None:
        self._stream = stream

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/internal/logs", self._text),
            web.get("/internal/logs/raw", self._raw),
            web.patch("/internal/logs/subscribe", self._subscribe),
        ]

    async def _text(self, _request: web.Request) -> web.Response:
        return web.json_response("".join(f"{entry['t']} - {entry['m']}" for entry in list(self._stream.entries)))

    async def _raw(self, _request: web.Request) -> web.Response:
        return web.json_response({"entries": list(self._stream.entries), "size": TERMINAL_SIZE})

    async def _subscribe(self, request: web.Request) -> web.Response:
        body: dict[str, Any] = await request.json()
        self._stream.subscribe(body["clientId"], enabled=bool(body["enabled"]))
        return web.Response()
