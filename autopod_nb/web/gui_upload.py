"""How large a body may be that goes to a pod: what the pod's server itself takes."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable

from autopod_nb.web.gui_head import BadMessage, make_head, parse_head, response_body, status_line
from autopod_nb.web.gui_wire import Cut, Wire

_log = logging.getLogger(__name__)

USUAL_BYTES = 100 << 20  # ComfyUI's own default, for a server that does not tell
_ANSWER_S = 10.0
_MAX_ANSWER_BYTES = 1 << 20

Source = int | Callable[[], int | None] | None


class UploadLimit:
    """Known from the first time on that somebody asks. Any thread.

    Args:
        source: the limit in bytes, or who knows it; None, also as an answer, asks the pod.
        dial: opens a connection to the pod; raises :class:`OSError`.
        pod_port: of the tunnel.
    """

    def __init__(self, source: Source, dial: Callable[[], Wire], pod_port: int) -> None:
        self._source = source
        self._dial = dial
        self._pod_port = pod_port
        self._lock = threading.Lock()
        self._told: int | None = None

    def bytes(self) -> int:
        """The limit. Waits for the pod at most once, if it answers."""
        given = self._source() if callable(self._source) else self._source
        if given is not None:
            return given
        with self._lock:
            if self._told is None:
                self._told = self._ask()
            return USUAL_BYTES if self._told is None else self._told

    def _ask(self) -> int | None:
        """``max_upload_size`` of ``/features``; the usual if the server does not tell, None if it cannot be asked."""
        try:
            wire = self._dial()
        except OSError:
            return None
        try:
            status, text = _get(wire, "/features", self._pod_port)
        except (Cut, BadMessage):
            return None
        finally:
            wire.close()
        return _size_in(text) if status == 200 else USUAL_BYTES


def _get(wire: Wire, path: str, port: int) -> tuple[int, bytes]:
    """Status and body of an answer; a body that is too large is cut off."""
    wire.send(make_head(f"GET {path} HTTP/1.1", [("Host", f"127.0.0.1:{port}"), ("Connection", "close")]))
    data = wire.read_head(_ANSWER_S, _ANSWER_S)
    if data is None:
        raise Cut(wire)
    head = parse_head(data)
    text = b""
    for chunk in wire.body(response_body(head, "GET")):
        text += chunk
        if len(text) > _MAX_ANSWER_BYTES:
            break
    return status_line(head)[0], text


def _size_in(text: bytes) -> int:
    try:
        size = json.loads(text)["max_upload_size"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return USUAL_BYTES
    good = isinstance(size, int | float) and not isinstance(size, bool) and 0 < size < 1 << 50
    return int(size) if good else USUAL_BYTES
