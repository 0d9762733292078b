"""What the control server answers: its routes, who may ask for what, and nothing of it in any log.

- ``/`` and ``/ping`` hold no data and may be asked for by anybody.
- ``/state`` holds no secret, but is nobody else's business. It wants the token, or a ``Host`` that is ours: a page
  whose name an attacker has pointed to 127.0.0.1 has another. jupyter-server-proxy hands the browser's ``Host`` on as
  it came, and any page can send ``X-Forwarded-*``, so a host is known when a request with the token has come by it.
- ``/act`` wants the token, by whatever road.
"""

from __future__ import annotations

import functools
import hmac
import json
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from autopod_nb.config import Secret
from autopod_nb.models.action import Action, ActionAnswer, ActionName
from autopod_nb.web.control_page import PAGE_TYPE, load_page
from autopod_nb.web.gui_address import host_name, is_loopback

_MOST_BYTES = 4096
_DRAINED_BYTES = 65_536
_MOST_HOSTS = 16
_NONCE = re.compile(r"nonce=([A-Za-z0-9]{1,64})")
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_MOST_TARGET = 200  # characters; job names are shorter
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
_FOR_ALL = {"Access-Control-Allow-Origin": "*"}
_OWN = {"Cross-Origin-Resource-Policy": "same-origin"}
_METHODS = {"/ping": "GET", "/act": "POST"}  # of the routes that pages of other origins may use


@dataclass(frozen=True, slots=True)
class Service:
    """What the routes lead to. Its repr shows no secret.

    Attributes:
        instance: names this kernel's server; no secret.
        token: whoever has it may act.
        read_state: JSON text without secrets; any thread.
        act: any thread, returns at once.
        hosts: by which the token came.
    """

    instance: str
    token: Secret
    read_state: Callable[[], str]
    act: Callable[[Action], ActionAnswer]
    hosts: set[str] = field(default_factory=set, repr=False)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def admits(self, token: str, host: str) -> bool:
        """Whether this is the token. The host that it came by is known from then on."""
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self.token.reveal().encode()):
            return False
        name = host_name(host)
        with self.lock:
            if name is not None and len(self.hosts) < _MOST_HOSTS:
                self.hosts.add(name)
        return True

    def knows(self, host: str) -> bool:
        """Whether a ``Host`` is loopback's, or one by which the token has come."""
        with self.lock:
            return is_loopback(host) or host_name(host) in self.hosts


def read_action(body: bytes) -> Action:
    """The action that a request asks for.

    Raises:
        ValueError: it asks for none; the text says why in one line, and holds nothing of the request.
    """
    try:
        asked: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("The body is no JSON.") from None
    if not isinstance(asked, dict):
        raise ValueError("The body is no JSON object.")  # noqa: TRY004 - one kind of error for all that is malformed
    action_id, target, yes = asked.get("id"), asked.get("target"), asked.get("yes", False)
    if not isinstance(action_id, str) or not _ID.fullmatch(action_id):
        raise ValueError("`id` is 1 to 64 letters, digits, dots, dashes and underscores.")
    if not isinstance(target, str) or not 0 < len(target) <= _MOST_TARGET:
        raise ValueError(f"`target` is the id of a pod or a job, at most {_MOST_TARGET} characters.")
    if not isinstance(yes, bool):
        raise ValueError("`yes` is true or false.")  # noqa: TRY004 - see above
    names = [name.value for name in ActionName]
    if asked.get("action") not in names:
        raise ValueError(f"`action` is one of {', '.join(names)}.")
    return Action(action_id=action_id, name=ActionName(asked["action"]), target=target, yes=yes)


class Handler(BaseHTTPRequestHandler):
    """Answers one request; the connection ends with it.

    Args:
        service: what the routes lead to.
        sock: the connection.
    """

    server_version, sys_version = "autopod", ""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
        super().__init__(sock, None, None)  # type: ignore[arg-type] # it hands them on and looks at neither

    def do_GET(self) -> None:
        """``/``, ``/ping`` and ``/state``."""
        path, _, query = self.path.partition("?")
        if path == "/":
            page = load_page()
            self._send(200, page.body, PAGE_TYPE, {"Content-Security-Policy": page.policy, **_OWN})
        elif path == "/ping":
            self._ping(query)
        elif path == "/state":
            self._state()
        else:
            self._say(404, "There is no such page.")

    def do_OPTIONS(self) -> None:
        """A browser asks whether a page of another origin may send what it wants to send."""
        method = _METHODS.get(self.path.partition("?")[0])
        if method is None:
            self._say(404, "There is no such page.")
            return
        leave = {"Access-Control-Allow-Methods": method, "Access-Control-Max-Age": "600", **_FOR_ALL}
        leave["Access-Control-Allow-Headers"] = "Content-Type, X-Autopod-Token"
        leave["Access-Control-Allow-Private-Network"] = "true"
        self._send(204, b"", None, leave)

    def do_POST(self) -> None:
        """``/act``."""
        body = self._body()
        if self.path != "/act":
            self._say(404, "There is no such page.")
        elif body is None:
            self._say(413, f"The body is longer than {_MOST_BYTES} bytes, or of unknown length.", _FOR_ALL)
        elif not self._has_token():
            self._say(401, "This wants the panel's token: open the control page from the panel.", _FOR_ALL)
        else:
            self._act(body)

    def _act(self, body: bytes) -> None:
        try:
            action = read_action(body)
        except ValueError as error:
            self._say(400, str(error), _FOR_ALL)
            return
        answer = self._service.act(action)
        said = {"taken": answer.taken, "text": answer.text, "wants_yes": answer.wants_yes}
        self._send(200, json.dumps(said).encode(), _JSON, _FOR_ALL)

    def _ping(self, query: str) -> None:
        found = _NONCE.fullmatch(query)
        if found is None:
            self._say(400, "`nonce` is 1 to 64 letters and digits.", _FOR_ALL)
            return
        said = {"autopod": self._service.instance, "nonce": found[1]}
        self._send(200, json.dumps(said).encode(), _JSON, _FOR_ALL)

    def _state(self) -> None:
        if "X-Autopod-Token" in self.headers:
            if not self._has_token():
                self._say(401, "This is another kernel's token: open the control page from the panel again.")
                return
        elif not self._service.knows(self._host()):
            self._say(403, "This address is not known yet: open the control page from the panel.")
            return
        elif self.headers.get("Sec-Fetch-Site", "none") not in ("same-origin", "none"):
            self._say(403, "Another page may not ask for this.")
            return
        self._send(200, self._service.read_state().encode(), _JSON, _OWN)

    def _has_token(self) -> bool:
        return self._service.admits(self.headers.get("X-Autopod-Token", ""), self._host())

    def _host(self) -> str:
        """The ``Host``; empty if there is none, or several."""
        found = self.headers.get_all("Host", [])
        return found[0] if len(found) == 1 else ""

    def _body(self) -> bytes | None:
        """What was sent; None if that is too much, of which some is read so that the client reads our answer."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit() and len(length) < 10):
            return None
        if int(length) > _MOST_BYTES:
            self.rfile.read(min(int(length), _DRAINED_BYTES))
            return None
        return self.rfile.read(int(length))

    def _say(self, status: int, text: str, fields: Mapping[str, str] = _OWN) -> None:
        self._send(status, f"{text}\n".encode(), _TEXT, fields)

    def _send(self, status: int, body: bytes, type_: str | None, fields: Mapping[str, str]) -> None:
        self.send_response(status)
        known = {"Content-Length": str(len(body))} if type_ else {}
        for name, value in {**_ALWAYS, **known, **({"Content-Type": type_} if type_ else {}), **fields}.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """What the base class refuses, in our words: its own repeat the request."""
        self.close_connection = True
        self._say(code, "This is no request for the control server.")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is Python's
        """Write nothing: stderr is whatever cell runs, and a request may hold a token."""


def make_handler(service: Service, patience_s: float) -> Callable[[socket.socket], object]:
    """What answers the one request of a connection, in the thread that calls it, and raises OSError if that breaks.

    Args:
        service: what the routes lead to.
        patience_s: the longest wait for the next bytes.
    """

    class Patient(Handler):
        timeout = patience_s  # of the socket; the base class sets it

    return functools.partial(Patient, service)
