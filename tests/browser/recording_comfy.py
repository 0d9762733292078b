"""Stands in for a pod's ComfyUI that keeps what it is asked: the built-in engine, with a record of every request.

Tests copy it as ``main.py`` of "the user's own ComfyUI"; the record lies beside it, a line of JSON for each request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from autopod_nb.localpod.comfy_api import make_app, open_door

RECORD = "requests.jsonl"


@dataclass(frozen=True, slots=True)
class Request:
    """What came to the pod.

    Attributes:
        text: method, path with its query, and every field, as they came.
        path: with its query.
        fields: (name in lower case, value).
    """

    text: str
    path: str
    fields: Sequence[tuple[str, str]]

    def value(self, name: str) -> str:
        """The value of a field, empty if it is missing."""
        return next((value for field, value in self.fields if field == name), "")

    @property
    def is_socket(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.value("upgrade").lower() == "websocket"


def read_record(folder: Path) -> list[Request]:
    """The requests so far."""
    path = folder / RECORD
    lines = path.read_text().splitlines() if path.exists() else []
    return [Request(line, json.loads(line)[1], json.loads(line)[2]) for line in lines]


@web.middleware
async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Write a request down before it is answered."""
    fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in request.raw_headers]
    with Path(__file__).with_name(RECORD).open("a") as file:
        file.write(json.dumps([request.method, request.raw_path, fields]) + "\n")
    return await handler(request)


async def _serve(host: str, port: int, base: Path) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    app = make_app(base)
    app.middlewares.insert(0, keep)
    runner = await open_door(app, host, port)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--base-directory", type=Path, required=True)
    given, _ = parser.parse_known_args()
    asyncio.run(_serve(given.listen, given.port, given.base_directory))


if __name__ == "__main__":
    main()
