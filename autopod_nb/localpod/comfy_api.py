"""The built-in engine as an HTTP server: `/prompt`, `/queue`, `/interrupt`, `/history`, `/free`, `/ws`, and the rest.

It answers as ComfyUI 0.12.1 was seen to answer. Where the real server trips over a request and says 500, the handler
here raises too: aiohttp then makes the same plain text of it in both.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from .comfy_files import FileRoutes
from .comfy_info import InfoRoutes, Machine
from .comfy_jobs import JobRoutes
from .comfy_log import LogRoutes, LogStream, open_log
from .comfy_origin import check_origin
from .comfy_socket import FEATURES, SocketHub
from .comfy_userdata import UserRoutes
from .engine import Engine
from .nodes import NODES, NodeClass
from .nodes.folders import Folders
from .prompt_queue import Entry
from .validation import check_prompt

LOG: web.AppKey[logging.Logger] = web.AppKey("log", logging.Logger)
SHUTDOWN_WAIT_S = 1.0  # for answers under way
SECRETS = frozenset({"auth_token_comfy_org", "api_key_comfy_org"})  # keys of extra_data that are never shown


class MalformedRequestError(Exception):
    """The real server stumbles over such a request and answers 500; so is it here."""


class PromptRoutes:
    """What drives the engine; all of these routes have a twin under `/api`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/prompt", self._status),
            web.post("/prompt", self._submit),
            web.get("/queue", self._queue),
            web.post("/queue", self._change_queue),
            web.post("/interrupt", self._interrupt),
            web.post("/free", self._free),
            web.get("/history", self._history),
            web.post("/history", self._change_history),
            web.get("/history/{prompt_id}", self._past),
            web.get("/ws", self._socket),
        ]

    async def _status(self, _request: web.Request) -> web.Response:
        return web.json_response(self._engine.status())

    async def _submit(self, request: web.Request) -> web.Response:
        self._engine.log.info("got prompt")
        sent = await request.json()
        if not isinstance(sent, dict | list | str):
            raise MalformedRequestError("the body is not an object")
        number = self._number(sent) if isinstance(sent, dict) else self._engine.next_number(front=False)
        if not isinstance(sent, dict) or "prompt" not in sent:
            text = "No prompt provided"
            return _refusal({"type": "no_prompt", "message": text, "details": text, "extra_info": {}}, {})
        prompt_id = str(sent["prompt_id"]) if "prompt_id" in sent else str(uuid.uuid4())
        graph = sent["prompt"]
        targets = sent.get("partial_execution_targets")
        verdict = check_prompt(graph, self._engine.nodes, self._engine.folders.input, targets)
        if verdict.error is not None:
            self._engine.log.warning("invalid prompt: %s", verdict.error)
            return _refusal(verdict.error, verdict.node_errors)
        order = self._engine.next_order()
        self._engine.queue.put(Entry(number, prompt_id, graph, _extra_data(sent), verdict.outputs, order))
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": verdict.node_errors})

    def _number(self, sent: Mapping[str, Any]) -> float:
        if "number" in sent:
            return float(sent["number"])
        return self._engine.next_number(front=bool(sent.get("front")))

    async def _queue(self, _request: web.Request) -> web.Response:
        running, waiting = self._engine.queue.snapshot()
        rows = {"queue_running": [e.row() for e in running], "queue_pending": [e.row() for e in waiting]}
        return web.json_response(rows)

    async def _change_queue(self, request: web.Request) -> web.Response:
        changes = await _changes(request)
        if changes.get("clear"):
            self._engine.queue.clear()
        for prompt_id in changes.get("delete", ()):
            self._engine.queue.delete(prompt_id)
        return web.Response()

    async def _interrupt(self, request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ValueError:
            body = {}  # so did everybody before the body had a meaning
        if not isinstance(body, dict):
            raise MalformedRequestError("the body is not an object")
        self._engine.interrupt(body.get("prompt_id"))
        return web.Response()

    async def _free(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("free_memory", False):
            self._engine.forget_results()
        return web.Response()

    async def _history(self, request: web.Request) -> web.Response:
        max_items, offset = request.query.get("max_items"), request.query.get("offset", "-1")
        limit = None if max_items is None else int(max_items)
        return web.json_response(self._engine.queue.history(limit, int(offset)))

    async def _past(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        past = self._engine.queue.past(prompt_id)
        return web.json_response({} if past is None else {prompt_id: past})

    async def _change_history(self, request: web.Request) -> web.Response:
        changes = await _changes(request)
        if changes.get("clear"):
            self._engine.queue.forget_all()
        for prompt_id in changes.get("delete", ()):
            self._engine.queue.forget(prompt_id)
        return web.Response()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        return await self._engine.hub.serve(request, self._engine.greeting)


def _extra_data(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept beside the workflow: what the client sent, less its secrets, its id and the time (ms)."""
    extra = sent.get("extra_data", {})
    if not isinstance(extra, dict):
        raise MalformedRequestError("extra_data is not an object")
    kept = {name: value for name, value in extra.items() if name not in SECRETS}
    if "client_id" in sent:
        kept["client_id"] = sent["client_id"]
    return kept | {"create_time": int(time.time() * 1000)}


async def _changes(request: web.Request) -> dict[str, Any]:
    """Return what is to change; a list or a text says nothing, as for the real server."""
    body = await request.json()
    if not isinstance(body, dict | list | str):
        raise MalformedRequestError("the body is not an object")
    return body if isinstance(body, dict) else {}


def _refusal(error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors}, status=400)


async def _missing(_request: web.Request) -> web.Response:
    """Answer a path that is not there; the real server looks for a file of its page."""
    return web.Response(status=404, content_type="application/octet-stream")


def _twin(route: web.RouteDef) -> web.RouteDef:
    return web.RouteDef(route.method, f"/api{route.path}", route.handler, dict(route.kwargs))


def _make_folders(base: Path) -> Folders:
    """Make the folders of a server; what lies in `temp` from before is deleted, as the real server does."""
    shutil.rmtree(base / "temp", ignore_errors=True)
    for name in ("input", "output", "temp", "user"):
        (base / name).mkdir(parents=True, exist_ok=True)
    return Folders(base / "input", base / "output", base / "temp")


def make_app(
    base_dir: Path,
    *,
    gpu_name: str = "RTX A5000",
    vram_bytes: int = 24 * 2**30,
    nodes: Mapping[str, NodeClass] = NODES,
) -> web.Application:
    """Make the server; its worker runs from the app's start to its clean-up.

    Args:
        base_dir: Gets `input`, `output`, `temp` (emptied) and `user`.
        gpu_name: What `/system_stats` claims.
        vram_bytes: The same.
        nodes: Node classes by name.
    """
    folders = _make_folders(base_dir.absolute())
    stream = LogStream()
    log = open_log(stream)
    hub = SocketHub(log)
    stream.attach(hub)
    engine = Engine(nodes, folders, hub, log)
    app = web.Application(client_max_size=int(FEATURES["max_upload_size"]), middlewares=[check_origin])
    files = FileRoutes(folders)
    info = InfoRoutes(nodes, folders.input, Machine(gpu_name, vram_bytes))
    user = UserRoutes(base_dir.absolute() / "user" / "default")
    for route in [*PromptRoutes(engine).routes(), *files.routes(), *info.routes(), *user.routes()]:
        route.register(app.router)
        _twin(route).register(app.router)
    app.router.add_routes([*files.internal_routes(), *LogRoutes(stream).routes(), *JobRoutes(engine.queue).routes()])
    app.router.add_get("/{path:.*}", _missing)

    async def life(_app: web.Application) -> AsyncIterator[None]:
        hub.bind()
        engine.start()
        yield
        await asyncio.to_thread(engine.stop)

    async def end_sockets(_app: web.Application) -> None:
        await hub.close()

    app[LOG] = log
    app.cleanup_ctx.append(life)
    app.on_shutdown.append(end_sockets)
    return app


async def open_door(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Start an app on a port; `cleanup` of what is returned ends it.

    Raises:
        OSError: The port is taken.
    """
    runner = web.AppRunner(app, access_log=None, logger=app[LOG], shutdown_timeout=SHUTDOWN_WAIT_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


async def serve(*, host: str, port: int, base_dir: Path, gpu_name: str, vram_bytes: int, stop: asyncio.Event) -> None:
    """Serve until told to stop.

    Args:
        host: Address to listen on.
        port: Port to listen on.
        base_dir: See `make_app`.
        gpu_name: What `/system_stats` claims.
        vram_bytes: The same.
        stop: Ends the server, whatever runs.

    Raises:
        OSError: The port is taken.
    """
    app = make_app(base_dir, gpu_name=gpu_name, vram_bytes=vram_bytes)
    runner = await open_door(app, host, port)
    app[LOG].info("Starting server\n\nTo see the page of this engine go to: http://%s:%d", host, port)
    try:
        await stop.wait()
    finally:
        await runner.cleanup()
