"""Files over HTTP: `/view`, `/upload/image`, `/upload/mask`, `/internal/files`."""

from __future__ import annotations

import asyncio
import io
import json
import mimetypes
import os
from collections.abc import Mapping
from pathlib import Path

from aiohttp import web
from PIL import Image

from .nodes.folders import KINDS, Folders

SCRIPTS = frozenset({"text/html", "text/html-sandboxed", "application/xhtml+xml", "text/javascript", "text/css"})
"""Kinds that a browser would act on; sent as bytes."""
PREVIEW_QUALITY = 90


class UploadError(Exception):
    """The real server fails on such an upload and answers 500; so is it here."""


class FileRoutes:
    """Routes for the three folders of a server."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def routes(self) -> list[web.RouteDef]:
        """Return the routes that have a twin under `/api`."""
        return [
            web.get("/view", self._view),
            web.post("/upload/image", self._upload_image),
            web.post("/upload/mask", self._upload_mask),
        ]

    def internal_routes(self) -> list[web.RouteDef]:
        """Return the routes without a twin."""
        return [web.get("/internal/files/{kind}", self._list)]

    def _root(self, kind: str) -> Path | None:
        root: Path | None = getattr(self._folders, kind) if kind in KINDS else None
        return root

    async def _view(self, request: web.Request) -> web.StreamResponse:
        found = self._find(request.query)
        if isinstance(found, int):
            return web.Response(status=found)
        wish, channel = request.query.get("preview"), request.query.get("channel", "rgba")
        content_type = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        headers = {
            "Content-Disposition": f'filename="{found.name}"',
            "Content-Type": "application/octet-stream" if content_type in SCRIPTS else content_type,
        }
        if wish is not None:
            body, headers["Content-Type"] = await asyncio.to_thread(_preview, found, wish)
        elif channel in {"rgb", "a"}:
            body, headers["Content-Type"] = await asyncio.to_thread(_channel, found, channel), "image/png"
        else:
            return web.FileResponse(found, headers=headers)
        return web.Response(body=body, headers=headers)

    def _find(self, query: Mapping[str, str]) -> Path | int:
        """Return the file that a query asks for, or the status that refuses it."""
        if "filename" not in query:
            return 404
        name, kind = _annotated(query["filename"], query.get("type", "output"))
        root = self._root(kind)
        if root is None or not name or name.startswith("/") or ".." in name:
            return 400
        folder = root / query.get("subfolder", "")
        if not _inside(root, folder):
            return 403
        path = folder / Path(name).name  # a folder in the name is cut off without a word
        return path if path.is_file() else 404

    async def _upload_image(self, request: web.Request) -> web.Response:
        return await self._upload(request, mask=False)

    async def _upload_mask(self, request: web.Request) -> web.Response:
        return await self._upload(request, mask=True)

    async def _upload(self, request: web.Request, *, mask: bool) -> web.Response:
        form = await request.post()
        part = form.get("image")
        if part is None:
            return web.Response(status=400)
        if not isinstance(part, web.FileField):
            raise UploadError("the part called image is not a file")
        kind, subfolder = str(form.get("type", "input")), str(form.get("subfolder", ""))
        root = self._root(kind)
        if root is None:
            raise UploadError(f"no folder for type {kind!r}")
        if not part.filename:
            return web.Response(status=400)
        path = _normal(root / subfolder / part.filename)
        if not path.is_relative_to(root):
            return web.Response(status=400)
        await asyncio.to_thread((root / subfolder).mkdir, parents=True, exist_ok=True)
        body = await asyncio.to_thread(part.file.read)
        if mask:
            reference = json.loads(str(form["original_ref"]))
            await asyncio.to_thread(self._write_mask, path, body, reference)
        else:
            path = await asyncio.to_thread(_write, path, body, overwrite=form.get("overwrite") in {"true", "1"})
        return web.json_response({"name": path.name, "subfolder": subfolder, "type": kind})

    def _write_mask(self, path: Path, body: bytes, reference: dict[str, str]) -> None:
        """Save the original picture with the alpha of the sent one; nothing happens if the original is not there."""
        root = self._root(reference.get("type", "output"))
        if root is None:
            raise UploadError("bad type of original_ref")
        original = root / reference.get("subfolder", "") / reference["filename"]
        if not _inside(root, original) or not original.is_file():
            return
        with Image.open(original) as picture, Image.open(io.BytesIO(body)) as sent:
            whole = picture.convert("RGBA")
            whole.putalpha(sent.convert("RGBA").getchannel("A").resize(whole.size))
            whole.save(path, compress_level=4)

    async def _list(self, request: web.Request) -> web.Response:
        root = self._root(request.match_info["kind"])
        if root is None:
            return web.json_response({"error": "Invalid directory type"}, status=400)
        with os.scandir(root) as entries:
            files = [(entry.stat().st_mtime_ns, entry.name) for entry in entries if entry.is_file()]
        return web.json_response([name for _, name in sorted(files, key=lambda file: -file[0])])


def _annotated(name: str, kind: str) -> tuple[str, str]:
    """Split `x.png [input]`, whose annotation counts more than `type`."""
    for annotation in KINDS:
        if name.endswith(f"[{annotation}]"):
            return name.removesuffix(f"[{annotation}]").rstrip(), annotation
    return name, kind


def _normal(path: Path) -> Path:
    """Return a path without `..`; links are not followed, as by the real server."""
    return Path(os.path.normpath(path))


def _inside(root: Path, path: Path) -> bool:
    return _normal(path).is_relative_to(root)


def _write(path: Path, body: bytes, *, overwrite: bool) -> Path:
    """Write an upload: the same name for the same bytes, else `a (1).png`, `a (2).png` …; returns where it lies."""
    free, number = path, 1
    while not overwrite and free.exists():
        if free.read_bytes() == body:
            return free
        free = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    free.write_bytes(body)
    return free


def _preview(path: Path, wish: str) -> tuple[bytes, str]:
    """Encode the first frame anew; `webp;50` or `jpeg;50`."""
    kind, _, quality = wish.partition(";")
    kind = kind if kind in {"webp", "jpeg"} else "webp"
    with Image.open(path) as picture:
        flat = picture.convert("RGB") if kind == "jpeg" or picture.mode not in {"RGB", "RGBA"} else picture
        stream = io.BytesIO()
        flat.save(stream, kind, quality=int(quality) if quality.isdigit() else PREVIEW_QUALITY)
    return stream.getvalue(), f"image/{kind}"


def _channel(path: Path, channel: str) -> bytes:
    """Return a PNG of the colours without alpha (`rgb`), or of the alpha alone (`a`)."""
    with Image.open(path) as picture:
        if channel == "rgb":
            result = picture.convert("RGB")
        else:
            result = Image.new("RGBA", picture.size)
            result.putalpha(picture.convert("RGBA").getchannel("A"))
        stream = io.BytesIO()
        result.save(stream, "PNG")
    return stream.getvalue()
