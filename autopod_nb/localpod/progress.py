"""What a job's `progress_state`, `progress` and preview messages say, and how often."""

from __future__ import annotations

import io
import json
import struct
import time
from collections.abc import Mapping
from typing import Any, Protocol

from PIL import Image

from .comfy_socket import Binary

PREVIEW_SIZE_PX = 512  # longest side; smaller pictures are enlarged to it, as the real server does
PREVIEW_QUALITY = 95
THROTTLE_S = 0.1  # of 0.12.1: at most one step in this time …
THROTTLE_FRACTION = 0.005  # … and in this part of the whole
JPEG_FORMAT = 1  # in frames of the old kind


class Audience(Protocol):
    """Where messages of a job go."""

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Send to the job's client, or to everybody if the job has none."""

    def show(self, event: Binary, payload: bytes) -> None:
        """Send a binary frame to the same."""

    def knows_metadata(self) -> bool:
        """Say whether the job's client announced `supports_preview_metadata`."""


class Progress:
    """The state of every node that a job has touched so far, in that order. For the worker thread.

    Args:
        prompt_id: Whose progress it is.
        audience: Who is told.
        previews: Whether pictures are sent at all; the server's default is no.
    """

    def __init__(self, prompt_id: str, audience: Audience, *, previews: bool) -> None:
        self._prompt_id = prompt_id
        self._audience = audience
        self._previews = previews
        self._nodes: dict[str, dict[str, Any]] = {}
        self._sent_at_s = 0.0
        self._sent_value: float | None = None

    def start(self, node_id: str) -> None:
        """A node begins."""
        self._sent_value = None
        self._set(node_id, 0.0, 1.0, "running")

    def finish(self, node_id: str) -> None:
        """A node is done, or was taken from the cache (then it never began and counts 1 of 1)."""
        maximum = self._nodes[node_id]["max"] if node_id in self._nodes else 1
        self._set(node_id, maximum, maximum, "finished")

    def step(self, node_id: str, value: float, maximum: float, preview: Image.Image | None) -> None:
        """A node reports a step; it is passed on unless the last one is too near.

        The first, the last and any with a preview are always passed on.
        """
        if not self._previews:
            preview = None
        if preview is None and not self._due(value, maximum):
            return
        self._sent_value, self._sent_at_s = value, time.monotonic()
        self._set(node_id, value, maximum, "running")
        named = preview is not None and self._audience.knows_metadata()
        picture = None if preview is None else _jpeg(preview)
        if picture is not None and named:
            self._audience.show(Binary.PREVIEW_WITH_METADATA, self._header(node_id) + picture)
        data = {"value": value, "max": maximum, "prompt_id": self._prompt_id, "node": node_id}
        self._audience.tell("progress", data)
        if picture is not None and not named:
            self._audience.show(Binary.PREVIEW, struct.pack(">I", JPEG_FORMAT) + picture)

    def _due(self, value: float, maximum: float) -> bool:
        if self._sent_value is None or value >= maximum:
            return True
        late = time.monotonic() - self._sent_at_s >= THROTTLE_S
        return late and value - self._sent_value >= THROTTLE_FRACTION * maximum

    def _set(self, node_id: str, value: float, maximum: float, state: str) -> None:
        ids = {"node_id": node_id, "prompt_id": self._prompt_id, "display_node_id": node_id}
        parents = {"parent_node_id": None, "real_node_id": node_id}
        self._nodes[node_id] = {"value": value, "max": maximum, "state": state, **ids, **parents}
        self._audience.tell("progress_state", {"prompt_id": self._prompt_id, "nodes": self._nodes})

    def _header(self, node_id: str) -> bytes:
        ids = {"node_id": node_id, "prompt_id": self._prompt_id, "display_node_id": node_id}
        header = json.dumps(
            {**ids, "parent_node_id": None, "real_node_id": node_id, "image_type": "image/jpeg"}
        ).encode()
        return struct.pack(">I", len(header)) + header


def _jpeg(picture: Image.Image) -> bytes:
    scale = PREVIEW_SIZE_PX / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    stream = io.BytesIO()
    picture.convert("RGB").resize((width, height)).save(stream, "JPEG", quality=PREVIEW_QUALITY)
    return stream.getvalue()
