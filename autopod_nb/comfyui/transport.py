"""HTTP to one ComfyUI: kept-alive connections, bounded answers, calls that can be broken off, one kind of error."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from autopod_nb.clock import Clock, Deadline
from autopod_nb.errors import AnswerLost, ComfyError, reason_of

_CHUNK_BYTES = 256 * 1024
_CONNECTIONS = 8  # kept for later; more are opened when more threads call at once
_WHOLE_ANSWER = 4  # times the time-out, for all pieces together; a guess
_SHOWN = 200  # characters of a server's words that go into an error


class _OpenSockets:
    """The sockets of one transport, so that another thread can end what waits on them."""

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.closed = threading.Event()

    def add(self, opened: socket) -> None:
        with self._lock:
            self._sockets.add(opened)
        if self.closed.is_set():
            self.close()

    def close(self) -> None:
        self.closed.set()
        with self._lock:
            opened = list(self._sockets)
        for one in opened:
            with suppress(OSError):  # over already
                one.shutdown(SHUT_RDWR)  # wakes a thread that reads; its owner closes it


def _adapter(sockets: _OpenSockets) -> HTTPAdapter:
    class Connection(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            if isinstance(self.sock, socket):
                sockets.add(self.sock)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    adapter = HTTPAdapter(pool_maxsize=_CONNECTIONS)
    adapter.poolmanager.pool_classes_by_scheme = {**adapter.poolmanager.pool_classes_by_scheme, "http": Pool}
    return adapter


class Transport:
    """Requests to one base URL. Thread-safe: each thread has a session of its own, all share one pool of connections.

    Neither proxies nor ``.netrc`` of the environment are used, for the other end is a tunnel on this machine; no
    ``Origin`` is sent, for ComfyUI refuses a wrong one; redirects are not followed.

    Args:
        base_url: for example ``http://127.0.0.1:8188``.
        clock: paces retries.
        timeout_s: to connect, and between two pieces of an answer.
    """

    def __init__(self, base_url: str, *, clock: Clock, timeout_s: float) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout_s = timeout_s
        self._clock = clock
        self._sockets = _OpenSockets()
        self._adapter = _adapter(self._sockets)
        self._local = threading.local()

    def _session(self) -> requests.Session:
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False
            session.headers["User-Agent"] = "autopod-nb"
            session.mount("http://", self._adapter)
        return cast("requests.Session", session)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Iterator[requests.Response]:
        """One answer, whatever its status; its body is not read yet. A ``with`` block, also around reading it.

        Raises:
            AnswerLost: the line broke, or there was no answer in time.
            ComfyError: the client is closed, or the answer is no HTTP.
        """
        where = f"{method} {path.partition('?')[0]}"
        if self.closed:
            raise ComfyError(f"ComfyUI was not asked for {where}: the connection is closed.")
        wait_s = max(0.001, self.timeout_s if timeout_s is None else min(timeout_s, self.timeout_s))
        try:
            with self._session().request(
                method,
                self.base_url + path,
                headers=headers,
                timeout=wait_s,
                stream=True,
                allow_redirects=False,
                **options,
            ) as answer:
                yield answer
        except requests.RequestException as error:
            raise self._translated(where, wait_s, error) from error

    def _translated(self, where: str, wait_s: float, error: requests.RequestException) -> ComfyError:
        if self.closed:
            return AnswerLost(f"{where} was broken off: the connection was closed.")
        if isinstance(error, requests.ConnectTimeout):
            return AnswerLost(f"ComfyUI at {self.base_url} cannot be reached: no answer within {wait_s:.3g} s.")
        if isinstance(error, requests.Timeout):
            return AnswerLost(f"ComfyUI at {self.base_url} did not answer {where} within {wait_s:.3g} s.")
        if isinstance(error, (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            return AnswerLost(f"The line to ComfyUI at {self.base_url} broke during {where}: {reason_of(error)}.")
        return ComfyError(f"{where} to ComfyUI at {self.base_url} failed: {reason_of(error)}.")

    def body(self, answer: requests.Response, most_bytes: int) -> bytes:
        """The whole body of an answer from :meth:`stream`.

        Raises:
            ComfyError: it is larger than *most_bytes*.
            AnswerLost: it trickles.
        """
        parts, size = [], 0
        path = str(answer.request.path_url).partition("?")[0]
        deadline = Deadline(self._clock, _WHOLE_ANSWER * self.timeout_s)
        for chunk in answer.iter_content(_CHUNK_BYTES):
            parts.append(chunk)
            size += len(chunk)
            if deadline.passed:
                raise AnswerLost(f"ComfyUI's answer to {path} trickles: {size:,} bytes came in time.")
            if size > most_bytes:
                raise ComfyError(f"ComfyUI's answer to {path} is larger than {most_bytes:,} bytes: it is not used.")
        return b"".join(parts)

    def get_json(self, path: str, *, most_bytes: int, timeout_s: float | None = None) -> Any:
        """The JSON at *path*. Asked once more when the line breaks, as a kept connection may have ended unseen.

        Raises:
            ComfyError: no answer, another status than 200, no JSON, or more than *most_bytes*.
        """
        try:
            return self._get_json(path, most_bytes, timeout_s)
        except AnswerLost as error:
            if self.closed or isinstance(error.__cause__, requests.Timeout):
                raise
            return self._get_json(path, most_bytes, timeout_s)

    def _get_json(self, path: str, most_bytes: int, timeout_s: float | None) -> Any:
        with self.stream("GET", path, timeout_s=timeout_s) as answer:
            content = self.body(answer, most_bytes)
            if answer.status_code != requests.codes.ok:
                raise ComfyError(f"ComfyUI answered {answer.status_code} to {path}{words(content)}.")
        return parse_json(content, path)

    def post(self, path: str, content: Mapping[str, object]) -> None:
        """Post JSON whose answer has no body worth reading. Not repeated.

        Raises:
            ComfyError: no answer, or another status than 200.
        """
        with self.stream("POST", path, json=content) as answer:
            said = self.body(answer, 1_000_000)
            if answer.status_code != requests.codes.ok:
                raise ComfyError(f"ComfyUI answered {answer.status_code} to POST {path}{words(said)}.")

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until :meth:`close`."""
        self._clock.wait(self._sockets.closed, seconds)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._sockets.closed.is_set()

    def close(self) -> None:
        """Break off what runs in any thread and refuse what comes. Safe to call twice, in any thread."""
        self._sockets.close()
        self._adapter.close()


def parse_json(content: bytes, path: str) -> Any:
    """The JSON in a body.

    Raises:
        ComfyError: it is something else.
    """
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ComfyError(f"What answers {path} sends no JSON{words(content)}: is it ComfyUI?") from error


def words(content: bytes) -> str:
    """The begin of a body for an error, after a colon; empty for an empty one."""
    text = " ".join(content[: 4 * _SHOWN].decode(errors="replace").split())[:_SHOWN]
    return f": {text}" if text.isprintable() and text else ""
