"""The door before ComfyUI: each request is let in, with what the pod may know of it, or refused. Pure."""

from __future__ import annotations

import hmac
import re
import threading
from dataclasses import dataclass, field

from autopod_nb.web import gui_address, gui_headers
from autopod_nb.web.gui_head import Body, Head, request_body, request_line

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OWN = ".autopod/"  # below the prefix, ours; never asked of a pod
_PING = f"{_OWN}ping"
_NONCE = re.compile(r"(?:^|&)nonce=([A-Za-z0-9_.-]{1,64})(?:&|$)")


class Refused(Exception):
    """A request that is not passed on.

    Args:
        status: of the answer.
        text: one line for a person; empty where even that would tell too much.
    """

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status, self.text = status, text


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was let in. Its repr shows no address.

    Attributes:
        method: of the request.
        target: path and query, as the pod gets them.
        path: below the prefix, without the query.
        fields: what the pod gets, but for those of the body.
        body: where it ends.
        socket: whether it asks for a WebSocket.
        lasts: whether the connection may go on after the answer.
        http11: whether the client knows chunks.
        expects: whether the client waits to be told to send the body.
        policy: the answer's Content-Security-Policy.
        origin: the page that asks, empty if the browser does not say.
        private: whether the browser asks for leave to reach this machine.
        nonce: of a ping; None for all that is for the pod.
    """

    method: str
    target: str = field(repr=False)
    path: str = field(repr=False)
    fields: gui_headers.Fields = field(repr=False)
    body: Body
    socket: bool
    lasts: bool
    http11: bool
    expects: bool
    policy: str = field(repr=False)
    origin: str = ""
    private: bool = False
    nonce: str | None = None


class Door:
    """Judges requests. Any thread.

    Args:
        prefix: ``/SECRET/``, before every path.
        port: the proxy's own.
        pod_port: of the tunnel.
    """

    def __init__(self, prefix: str, *, port: int, pod_port: int) -> None:
        self._prefix = prefix
        self._port = port
        self._pod_port = pod_port
        self._lock = threading.Lock()
        self._origins: frozenset[str] = frozenset()

    def allow(self, origin: str) -> None:
        """Let a page ask, and frame what is here.

        Raises:
            ValueError: not the origin of a page.
        """
        found = gui_address.normal_origin(origin)
        with self._lock:
            self._origins |= {found}

    def judge(self, head: Head) -> Asked:
        """Let a request in.

        Raises:
            Refused: or not.
            BadMessage: it is no request.
        """
        method, target, minor = request_line(head)
        path, query = self._below(target)
        origins = self._origins
        host = head.one("host") or ""
        if not gui_address.host_is_ours(host, origins):
            raise Refused(404)
        body = request_body(head)
        self._check_page(head, host, origins)
        if not gui_address.path_is_plain(path):
            raise Refused(404)
        if method not in _METHODS:
            raise Refused(405, "The page of a pod takes no such request.")
        before = gui_headers.place_before(head, self._port)
        socket = method == "GET" and "websocket" in head.words("upgrade") and bool(minor) and body.none
        return Asked(
            method=method,
            target=self._pod_target(path, query, decoded=bool(before)),
            path=path,
            fields=gui_headers.to_pod(head, port=self._pod_port, socket=socket),
            body=body,
            socket=socket,
            lasts=bool(minor) and "close" not in head.words("connection"),
            http11=bool(minor),
            expects="100-continue" in head.words("expect"),
            policy=gui_headers.policy(host, before, self._prefix, origins),
            origin=head.one("origin") or "",
            private=head.one("access-control-request-private-network") == "true",
            nonce=_nonce(path, query),
        )

    def _below(self, target: str) -> tuple[str, str]:
        """Path below the prefix, and query.

        Raises:
            Refused: it does not begin with the prefix, or is no plain path.
        """
        length = len(self._prefix)
        if not hmac.compare_digest(target[:length].encode("latin-1"), self._prefix.encode("latin-1")):
            raise Refused(404)
        path, _, query = target[length:].partition("?")
        return path, query

    def _check_page(self, head: Head, host: str, origins: frozenset[str]) -> None:
        """Whether the page that asks may.

        Raises:
            Refused: it may not.
        """
        origin = head.one("origin")
        if origin is not None and not gui_address.origin_is_ours(origin, host, origins):
            raise Refused(403, "Another page may not ask for this.")
        elsewhere = head.one("sec-fetch-site") in ("cross-site", "same-site")
        if elsewhere and head.one("sec-fetch-mode") == "no-cors":  # a picture or script on somebody else's page
            raise Refused(403, "Another page may not ask for this.")
        if head.every("service-worker") or head.one("sec-fetch-dest") == "serviceworker":
            raise Refused(403, "A pod's page may leave nothing behind in the browser.")

    def _pod_target(self, path: str, query: str, *, decoded: bool) -> str:
        clean = gui_address.clean_query(query)
        there = gui_address.user_file_path(path) if decoded else path
        return f"/{there}?{clean}" if clean else f"/{there}"


def _nonce(path: str, query: str) -> str | None:
    """What a ping shall say again; None if it is none.

    Raises:
        Refused: it is neither a ping nor for the pod.
    """
    if not path.startswith(_OWN):
        return None
    found = _NONCE.search(query)
    if path != _PING or found is None:
        raise Refused(404)
    return found[1]
