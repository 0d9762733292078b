"""What the GUI keeps on the server: `/users`, `/settings`, `/userdata`, and its lists of texts and templates.

The built-in engine has no GUI. These answers are as recorded, so that a client which asks for them is not surprised.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

from aiohttp import web

_SETTINGS = "comfy.settings.json"


class UserRoutes:
    """Routes for the one user that there is; all of them have a twin under `/api`.

    Args:
        folder: Where the user's files are; made when the first one comes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/users", self._users),
            web.get("/settings", self._settings),
            web.get("/i18n", self._nothing),
            web.get("/workflow_templates", self._nothing),
            web.get("/userdata", self._list),
            web.get("/userdata/{file}", self._read),
            web.post("/userdata/{file}", self._write),
            web.delete("/userdata/{file}", self._delete),
        ]

    async def _users(self, _request: web.Request) -> web.Response:
        return web.json_response({"storage": "server", "migrated": self._folder.is_dir()})

    async def _settings(self, _request: web.Request) -> web.Response:
        path = self._folder / _SETTINGS
        return web.json_response(json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})

    async def _nothing(self, _request: web.Request) -> web.Response:
        return web.json_response({})

    async def _list(self, request: web.Request) -> web.Response:
        folder = self._path(request.query.get("dir", ""))
        if not folder.is_dir():
            return web.Response(status=404, text="Directory not found")
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        full = request.query.get("full_info", "").lower() == "true"
        return web.json_response([_described(path) if full else path.name for path in paths])

    async def _read(self, request: web.Request) -> web.StreamResponse:
        path = self._path(request.match_info["file"])
        return web.FileResponse(path) if path.is_file() else web.Response(status=404)

    async def _write(self, request: web.Request) -> web.Response:
        path = self._path(request.match_info["file"])
        if request.query.get("overwrite") == "false" and path.exists():
            return web.Response(status=409, text="File already exists")
        body = await request.read()
        await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
        await asyncio.to_thread(path.write_bytes, body)
        return web.json_response(path.relative_to(self._folder).as_posix())

    async def _delete(self, request: web.Request) -> web.Response:
        path = self._path(request.match_info["file"])
        if not path.is_file():
            return web.Response(status=404)
        path.unlink()
        return web.Response(status=204)

    def _path(self, name: str) -> Path:
        """Return the path of a file or folder of the user.

        Raises:
            web.HTTPForbidden: It leads out of the user's folder.
        """
        path = Path(os.path.normpath(self._folder / name))
        if not path.is_relative_to(self._folder):
            raise web.HTTPForbidden
        return path


def _described(path: Path) -> dict[str, Any]:
    facts = path.stat()
    return {"path": path.name, "size": facts.st_size, "modified": facts.st_mtime, "created": facts.st_ctime}
