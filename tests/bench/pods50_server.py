"""Many pods in one process: for each an SSH server of its own, and behind it a ComfyUI that only tells of progress.

``python -m tests.bench.pods50_server COUNT KEY_FILE FOLDER`` prints one line of JSON, which says where the pods are,
and ends with its standard input. Each pod renders one prompt that never ends, as fast as a real server tells of it: ten
steps a second, two messages each (``progress_state``, then ``progress``). ``/sent`` on a port of its own tells when
each step was sent, by the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh
from aiohttp import web

HOST = "127.0.0.1"

_CIPHERS = ("aes128-gcm@openssh.com",)
STEPS_PER_S = 10
MOST_STEPS = 100_000
SAMPLER = "4"


class Pod:
    """One ComfyUI: it takes a prompt and tells its owner how far it is.

    Args:
        late_s: when in a tenth of a second it tells, so that not all tell at once.

    Attributes:
        sent_s: monotonic time at which each step was sent, the first one first.
    """

    def __init__(self, late_s: float) -> None:
        self.sent_s: list[float] = []
        self._late_s = late_s
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._prompt: dict[str, Any] = {}
        self._past: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Serve on a free port of loopback. Returns it."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/system_stats", self._stats),
                web.get("/prompt", self._remaining),
                web.post("/prompt", self._submit),
                web.get("/queue", self._queue),
                web.post("/queue", self._nothing),
                web.post("/interrupt", self._interrupt),
                web.get("/history", self._history),
                web.get("/history/{prompt_id}", self._history),
                web.get("/ws", self._socket),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, HOST, 0)
        await site.start()
        port: int = runner.addresses[0][1]
        return port

    async def _stats(self, _: web.Request) -> web.Response:
        system = {"comfyui_version": "0.12.1", "python_version": "3.11.7 (main)", "pytorch_version": "2.6.0"}
        return web.json_response({"system": system, "devices": [{"name": "cuda:0 made up"}]})

    async def _remaining(self, _: web.Request) -> web.Response:
        return web.json_response({"exec_info": {"queue_remaining": int(bool(self._prompt))}})

    async def _queue(self, _: web.Request) -> web.Response:
        running = [[0, self._prompt["prompt_id"], self._prompt["prompt"], {}, []]] if self._prompt else []
        return web.json_response({"queue_running": running, "queue_pending": []})

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        wanted = request.match_info.get("prompt_id")
        found = {name: entry for name, entry in self._past.items() if wanted in (None, name)}
        return web.json_response(found)

    async def _submit(self, request: web.Request) -> web.Response:
        if self._prompt:
            return web.Response(status=500, text="one at a time")
        self._prompt = await request.json()
        self._task = asyncio.create_task(self._render())
        return web.json_response({"prompt_id": self._prompt["prompt_id"], "number": 0, "node_errors": {}})

    async def _interrupt(self, request: web.Request) -> web.Response:
        if self._task is not None and (await request.json()).get("prompt_id") == self._prompt.get("prompt_id"):
            self._task.cancel()
        return web.Response()

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client_id = request.query["clientId"]
        self._sockets[client_id] = socket
        with contextlib.suppress(ConnectionError):
            status = {"status": {"exec_info": {"queue_remaining": int(bool(self._prompt))}}, "sid": client_id}
            await socket.send_str(json.dumps({"type": "status", "data": status}))
            async for _ in socket:
                pass
        self._sockets.pop(client_id, None)
        return socket

    async def _render(self) -> None:
        prompt_id = self._prompt["prompt_id"]
        place = {"prompt_id": prompt_id, "node_id": SAMPLER, "node_type": "KSampler", "executed": []}
        try:
            await self._tell("execution_start", {"prompt_id": prompt_id, "timestamp": _now_ms()})
            await self._tell("execution_cached", {"nodes": [], "prompt_id": prompt_id, "timestamp": _now_ms()})
            await self._tell("executing", {"node": SAMPLER, "display_node": SAMPLER, "prompt_id": prompt_id})
            await self._steps(prompt_id)
        except asyncio.CancelledError:
            messages = [["execution_interrupted", {**place, "timestamp": _now_ms()}]]
            status = {"status_str": "error", "completed": False, "messages": messages}
            self._past[prompt_id] = {"prompt": [], "outputs": {}, "status": status, "meta": {}}
            await self._tell("execution_interrupted", {**place, "timestamp": _now_ms()})
            await self._tell("executing", {"node": None, "prompt_id": prompt_id})
        finally:
            self._prompt = {}

    async def _steps(self, prompt_id: str) -> None:
        loop = asyncio.get_running_loop()
        next_s = loop.time() // 1 + 1 + self._late_s
        nodes = {node: _node(node, prompt_id, 1, 1) for node in sorted(self._prompt["prompt"]) if node < SAMPLER}
        for step in range(1, MOST_STEPS):
            await asyncio.sleep(next_s - loop.time())
            next_s += 1 / STEPS_PER_S
            nodes[SAMPLER] = _node(SAMPLER, prompt_id, step, MOST_STEPS)
            await self._tell("progress_state", {"prompt_id": prompt_id, "nodes": nodes})
            self.sent_s.append(time.monotonic())
            await self._tell("progress", {"value": step, "max": MOST_STEPS, "prompt_id": prompt_id, "node": SAMPLER})

    async def _tell(self, kind: str, data: Mapping[str, object]) -> None:
        socket = self._sockets.get(self._prompt.get("client_id", ""))
        if socket is not None:
            with contextlib.suppress(ConnectionError):
                await socket.send_str(json.dumps({"type": kind, "data": data}))


def _node(node: str, prompt_id: str, value: float, maximum: float) -> dict[str, object]:
    ids = {"node_id": node, "prompt_id": prompt_id, "display_node_id": node, "parent_node_id": None}
    state = "running" if value < maximum else "finished"
    return {"value": value, "max": maximum, "state": state, **ids, "real_node_id": node}


def _now_ms() -> int:
    return int(time.time() * 1000)


class _Gate(asyncssh.SSHServer):
    """One connection to one pod: anybody with the key, and nowhere but to that pod's ComfyUI."""

    def __init__(self, comfyui_port: int) -> None:
        self._comfyui_port = comfyui_port

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - every user name is the same user
        return True

    def connection_requested(self, dest_host: str, dest_port: int, *_origin: object) -> bool:
        return (dest_host, dest_port) == (HOST, self._comfyui_port)


async def _command(process: Any) -> None:
    """A pod knows how busy its GPU is, and no other command; none starts a process here."""
    if "nvidia-smi" in (process.command or ""):
        process.stdout.write(b"97, 21000, 49140\n")
        process.exit(0)
    else:
        process.exit(127)


async def _serve(count: int, public_key: str, folder: Path) -> None:
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    pods = [Pod(number / count / STEPS_PER_S) for number in range(count)]
    places = []
    for number, pod in enumerate(pods):
        comfyui_port = await pod.start()
        acceptor = await asyncssh.create_server(
            partial(_Gate, comfyui_port),
            HOST,
            0,
            server_host_keys=[host_key],
            authorized_client_keys=asyncssh.import_authorized_keys(public_key),
            process_factory=_command,
            encoding=None,
            encryption_algs=_CIPHERS,
            compression_algs=None,
        )
        place = {"ssh_port": acceptor.get_port(), "comfyui_port": comfyui_port, "folder": str(folder / f"{number:02}")}
        places.append(place)
    told = {"host_key_sha256": host_key.get_fingerprint(), "pods": places, "port": await _tell_sent(pods)}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def _tell_sent(pods: list[Pod]) -> int:
    async def sent(_: web.Request) -> web.Response:
        return web.json_response([pod.sent_s for pod in pods])

    app = web.Application()
    app.add_routes([web.get("/sent", sent)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    port: int = runner.addresses[0][1]
    return port


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), Path(sys.argv[2]).read_text(), Path(sys.argv[3])))
    os._exit(0)  # whatever its sockets still do: nobody is left to render for
