"""A built-in engine in a thread of its own, and a client that talks to it (or to a real ComfyUI) over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import requests
import websocket
from aiohttp import web

from autopod_nb.localpod.comfy_api import make_app, open_door
from autopod_nb.localpod.nodes import NODES, NodeClass

PATIENCE_S = 20.0
Message = dict[str, Any]


class EngineThread:
    """A server on a free loopback port; started when entered, wholly gone when left."""

    def __init__(self, base_dir: Path, nodes: Mapping[str, NodeClass] = NODES) -> None:
        self._base_dir = base_dir
        self._nodes = nodes
        self._stop: Callable[[], object] = lambda: None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="engine-under-test")
        self.url = ""

    def __enter__(self) -> EngineThread:  # noqa: PYI034 - Self is not in Python 3.10
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:  # noqa: BLE001 - shown by the thread that owns this one
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set)
        app: web.Application = make_app(self._base_dir, nodes=self._nodes)
        runner = await open_door(app, "127.0.0.1", 0)
        self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        self._ready.set()
        try:
            await stop.wait()
        finally:
            await runner.cleanup()


class Listener:
    """A WebSocket client that keeps every frame, in order; a binary one as `{"type": "binary", "kind", "data"}`."""

    def __init__(self, url: str, client_id: str | None, *, metadata: bool = False) -> None:
        query = "" if client_id is None else "?" + urlencode({"clientId": client_id})
        self.client_id = client_id
        self.frames: list[Message] = []
        self._new = threading.Condition()
        self._open = True
        self._socket = websocket.create_connection(
            url.replace("http", "ws", 1) + "/ws" + query, timeout=PATIENCE_S, suppress_origin=True
        )
        if metadata:
            self.send({"type": "feature_flags", "data": {"supports_preview_metadata": True}})
        self._thread = threading.Thread(target=self._read, name="listener", daemon=True)
        self._thread.start()

    def send(self, message: object) -> None:
        self._socket.send(json.dumps(message))

    def close(self) -> None:
        """Close, and wait until the server has seen it."""
        with contextlib.suppress(OSError, websocket.WebSocketException):
            self._socket.send_close()
        self._thread.join(PATIENCE_S)
        self._socket.shutdown()  # type: ignore[no-untyped-call] # the library ships no types

    def _read(self) -> None:
        while self._open:
            try:
                code, data = self._socket.recv_data()
            except (OSError, websocket.WebSocketException):
                break
            if code == websocket.ABNF.OPCODE_CLOSE:
                break
            if code == websocket.ABNF.OPCODE_TEXT:
                frame = json.loads(data)
            else:
                frame = {"type": "binary", "kind": struct.unpack(">I", data[:4])[0], "data": data[4:]}
            with self._new:
                self.frames.append(frame)
                self._new.notify_all()
        with self._new:
            self._open = False
            self._new.notify_all()

    def wait(self, wanted: Callable[[Message], bool], *, since: int = 0, patience_s: float = PATIENCE_S) -> Message:
        """Return the first frame that is wanted, waiting for it; fails when the line ends or patience does."""

        def found() -> Message | None:
            return next((frame for frame in self.frames[since:] if wanted(frame)), None)

        with self._new:
            assert self._new.wait_for(lambda: found() is not None or not self._open, patience_s), self.frames[-5:]
            frame = found()
        assert frame is not None, "the line ended"
        return frame

    def wait_end(self, prompt_id: str, *, patience_s: float = PATIENCE_S) -> None:
        """Wait for the message that says that a job is over and in the history."""
        end = {"node": None, "prompt_id": prompt_id}
        self.wait(lambda m: m["type"] == "executing" and m["data"] == end, patience_s=patience_s)

    def of(self, prompt_id: str) -> list[Message]:
        return [frame for frame in list(self.frames) if is_of(frame, prompt_id)]

    def types(self) -> list[str]:
        return [frame["type"] for frame in list(self.frames)]


def is_of(frame: Message, prompt_id: str) -> bool:
    return bool(frame["type"] != "binary" and frame["data"].get("prompt_id") == prompt_id)


class Client:
    """What a client of the API does, in a few words."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = requests.Session()

    def close(self) -> None:
        self.http.close()

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=PATIENCE_S, **options)

    def get(self, path: str) -> Any:
        answer = self.request("GET", path)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: object) -> requests.Response:
        return self.request("POST", path, json=body)

    def submit(self, graph: Mapping[str, Any], client_id: str | None = None, **more: Any) -> str:
        """Post a workflow that must be accepted; returns its prompt id."""
        prompt_id = str(more.pop("prompt_id", uuid.uuid4()))
        body = {"prompt": graph, "prompt_id": prompt_id, **({} if client_id is None else {"client_id": client_id})}
        answer = self.post("/prompt", body | more)
        assert answer.status_code == 200, answer.text
        assert answer.json()["prompt_id"] == prompt_id
        return prompt_id

    def upload(self, name: str, data: bytes, **fields: str) -> requests.Response:
        return self.request("POST", "/upload/image", files={"image": (name, data)}, data=fields)

    def poll(self, path: str, wanted: Callable[[Any], bool]) -> Any:
        """Ask until the answer is the wanted one."""
        end_s = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while time.monotonic() < end_s:
            answer = self.get(path)
            if wanted(answer):
                return answer
            pause.wait(0.01)
        raise AssertionError(f"{path} never became what was wanted; last: {str(answer)[:500]}")

    def past(self, prompt_id: str) -> dict[str, Any]:
        """Wait for a job's history entry."""
        found: dict[str, Any] = self.poll(f"/history/{prompt_id}", bool)[prompt_id]
        return found

    @contextlib.contextmanager
    def listening(self, client_id: str | None = None, *, metadata: bool = False) -> Iterator[Listener]:
        listener = Listener(self.url, client_id or str(uuid.uuid4()), metadata=metadata)
        try:
            listener.wait(lambda m: m["type"] == "status" and "sid" in m["data"])
            yield listener
        finally:
            listener.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
