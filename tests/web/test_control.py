"""The control server over real sockets: who may ask, who may act, and what never hurts it."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.models.action import Action, ActionAnswer, ActionName
from autopod_nb.web.control import ControlServer
from autopod_nb.web.control_http import read_action
from tests.localpod.comfy_harness import PATIENCE_S
from tests.web.gui_pods import RecordingPod
from tests.web.test_gui_behind_jupyter import _TOKEN, Jupyter, jupyter

__all__ = ["jupyter"]  # the fixture: a real Jupyter server

_STATE = '{"pods": []}'
_KILL = {"id": "a1", "action": "kill", "target": "3fa2c1", "yes": True}


@dataclass
class Answer:
    """What came back, with the names of fields in lower case."""

    status: int
    fields: dict[str, str]
    text: str


class Desk:
    """Where the actions of a test go."""

    def __init__(self) -> None:
        self.taken: list[Action] = []
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Semaphore(0)

    def act(self, action: Action) -> ActionAnswer:
        self.taken.append(action)
        return ActionAnswer(text=f"Pod {action.target} is being terminated.", wants_yes=not action.yes)

    def read(self) -> str:
        self.asked.release()
        assert self.open.wait(PATIENCE_S)
        return _STATE


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def serve(desk: Desk) -> Iterator[Callable[..., ControlServer]]:
    """Makes servers before the desk, and closes them."""
    with ExitStack() as stack:

        def make(**options: object) -> ControlServer:
            server = ControlServer(desk.read, desk.act, **options)  # type: ignore[arg-type] # each test gives what fits
            stack.callback(server.close)
            return server

        yield make


@pytest.fixture
def server(serve: Callable[..., ControlServer]) -> ControlServer:
    return serve()


def ask(
    server: ControlServer, method: str, path: str, fields: dict[str, str] | None = None, body: bytes | None = None
) -> Answer:
    """One request."""
    line = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        line.request(method, path, body, fields or {})
        got = line.getresponse()
        return Answer(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read().decode())
    finally:
        line.close()


def act(server: ControlServer, asked: object = _KILL, **fields: str) -> Answer:
    """One press with the token."""
    body = asked if isinstance(asked, bytes) else json.dumps(asked).encode()
    head = {"X-Autopod-Token": server.token.reveal(), "Content-Type": "application/json", **fields}
    return ask(server, "POST", "/act", head, body)


def raw(server: ControlServer, data: bytes) -> bytes:
    """Bytes that no client would send, and all that comes back."""
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as sock:
        sock.sendall(data)
        got = b""
        with suppress(ConnectionResetError):
            while part := sock.recv(4096):
                got += part
        return got


def until(done: Callable[[], bool]) -> None:
    deadline = Deadline(SystemClock(), PATIENCE_S)
    while not done():
        assert not deadline.passed


def test_a_press_with_the_token_reaches_the_desk_and_its_answer_the_browser(server: ControlServer, desk: Desk) -> None:
    answer = act(server)
    assert (answer.status, answer.fields["access-control-allow-origin"]) == (200, "*")
    assert json.loads(answer.text) == {"taken": True, "text": "Pod 3fa2c1 is being terminated.", "wants_yes": False}
    assert desk.taken == [Action(action_id="a1", name=ActionName.KILL, target="3fa2c1", yes=True)]


@pytest.mark.parametrize("token", [None, "", "x", "TOKEN", "tökén\xff", "x" * 5000])
def test_without_the_right_token_nothing_happens(server: ControlServer, desk: Desk, token: str | None) -> None:
    fields = {} if token is None else {"X-Autopod-Token": token}
    answer = ask(server, "POST", "/act", fields, json.dumps(_KILL).encode())
    assert (answer.status, desk.taken) == (401, [])
    assert answer.text.count("\n") == 1
    assert answer.fields["access-control-allow-origin"] == "*", "a page must be able to read why"


@pytest.mark.parametrize(
    "asked",
    [
        b"", b"{", b"[" * 4000, b"\xff\xfe", [], "kill", None, {},
        {**_KILL, "action": "detonate"}, {**_KILL, "action": ["kill"]}, {**_KILL, "id": ""}, {**_KILL, "id": "a b"},
        {**_KILL, "id": 7}, {**_KILL, "target": ""}, {**_KILL, "target": "x" * 201}, {**_KILL, "target": None},
        {**_KILL, "yes": "yes"}, {**_KILL, "yes": 1},
    ],
)  # fmt: skip
def test_what_is_malformed_is_refused_in_one_line_and_does_nothing(
    server: ControlServer, desk: Desk, asked: object
) -> None:
    answer = act(server, asked)
    assert (answer.status, answer.text.count("\n"), desk.taken) == (400, 1, [])
    assert act(server).status == 200


@given(st.binary(max_size=200) | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(
    lambda value: json.dumps({"id": value, "action": value, "target": value, "yes": value}).encode()))  # fmt: skip
def test_no_body_makes_reading_it_fail_otherwise_than_in_words(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+\.$"):
        read_action(body)


def test_a_body_that_is_too_long_or_has_no_length_is_refused(server: ControlServer, desk: Desk) -> None:
    assert act(server, json.dumps({**_KILL, "more": "x" * 4096}).encode()).status == 413
    head = f"POST /act HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Autopod-Token: {server.token.reveal()}\r\n"
    for field in ("Transfer-Encoding: chunked", "Content-Length: -1", "Content-Length: 9999999999999", "X: y"):
        assert b" 413 " in raw(server, f"{head}{field}\r\n\r\n".encode()).split(b"\r\n")[0]
    assert desk.taken == []


def test_a_page_of_another_origin_may_press_and_ping_but_not_look(server: ControlServer) -> None:
    asked = {"Origin": "https://lab.example", "Access-Control-Request-Private-Network": "true"}
    leave = ask(server, "OPTIONS", "/act", {**asked, "Access-Control-Request-Method": "POST"})
    assert (leave.status, leave.text) == (204, "")
    assert leave.fields["access-control-allow-origin"] == "*"
    assert leave.fields["access-control-allow-headers"] == "Content-Type, X-Autopod-Token"
    assert leave.fields["access-control-allow-private-network"] == "true"
    look = ask(server, "OPTIONS", "/state", {**asked, "Access-Control-Request-Method": "GET"})
    assert look.status == 404
    state = ask(server, "GET", "/state", {"Origin": "https://lab.example"})
    for answer in (look, state, ask(server, "GET", "/")):
        assert not [name for name in answer.fields if name.startswith("access-control-")]
    for site in ("cross-site", "same-site"):
        assert ask(server, "GET", "/state", {"Sec-Fetch-Site": site}).status == 403


def test_a_ping_says_which_kernel_answers(server: ControlServer) -> None:
    answer = ask(server, "GET", "/ping?nonce=aZ09")
    assert (answer.status, answer.fields["access-control-allow-origin"]) == (200, "*")
    assert json.loads(answer.text) == {"autopod": server.instance, "nonce": "aZ09"}
    for query in ("", "?nonce=", "?nonce=<b>", f"?nonce={'a' * 65}", "?nonce=a&x=1", "?nonce=a%0A"):
        assert ask(server, "GET", f"/ping{query}").status == 400


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "localhost@evil"])
def test_a_name_that_an_attacker_pointed_at_this_machine_sees_nothing(server: ControlServer, host: str) -> None:
    """Not even with the fields that a proxy adds, for any page can send those to its own origin."""
    fields = {"Host": host, "X-Forwarded-Context": f"/proxy/{server.port}", "X-Forwarded-Prefix": "/", "Origin": "null"}
    answer = ask(server, "GET", "/state", fields)
    assert answer.status == 403
    assert _STATE not in answer.text


def test_two_hosts_in_one_request_are_none(server: ControlServer) -> None:
    got = raw(server, b"GET /state HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
    assert b" 403 " in got.split(b"\r\n")[0]


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:99", "[::1]:8888"])
def test_loopback_by_any_name_and_port_may_look(server: ControlServer, host: str) -> None:
    answer = ask(server, "GET", "/state", {"Host": host})
    assert (answer.status, answer.text) == (200, _STATE)


def test_a_host_by_which_the_token_came_is_known_from_then_on(server: ControlServer) -> None:
    hub, wrong = {"Host": "hub.example"}, {"X-Autopod-Token": "wrong"}
    assert ask(server, "GET", "/state", {**hub, **wrong}).status == 401
    assert ask(server, "GET", "/state", hub).status == 403
    assert ask(server, "GET", "/state", {**hub, "X-Autopod-Token": server.token.reveal()}).status == 200
    assert ask(server, "GET", "/state", hub).status == 200
    assert ask(server, "GET", "/state", {"Host": "evil.example"}).status == 403


def test_the_page_is_whole_holds_no_data_and_lets_no_other_script_run(server: ControlServer) -> None:
    page = ask(server, "GET", "/")
    assert (page.status, page.fields["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.fields["content-security-policy"]
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'" in policy
    assert "unsafe" not in policy
    assert {name: page.fields[name] for name in ("referrer-policy", "cache-control", "x-content-type-options")} == {
        "referrer-policy": "no-referrer", "cache-control": "no-store", "x-content-type-options": "nosniff",
    }  # fmt: skip
    assert "innerHTML" not in page.text
    assert "://" not in page.text.replace("http://www.w3.org/2000/svg", ""), "nothing comes from elsewhere"
    assert server.token.reveal() not in page.text + str(page.fields)
    assert server.instance not in page.text


def test_the_token_is_shown_by_nothing(server: ControlServer, caplog: pytest.LogCaptureFixture,
                                       capfd: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    token = server.token.reveal()
    assert len(token) >= 43
    with caplog.at_level(logging.DEBUG):
        answers = [
            act(server),
            act(server, b"{"),
            ask(server, "GET", f"/state?t={token}"),
            ask(server, "GET", f"/{token}"),
            ask(server, "POST", f"/{token}", body=b"x"),
            ask(server, "BREW", f"/{token}", {"X-Autopod-Token": token}),
            ask(server, "GET", "/state", {"X-Autopod-Token": token}),
        ]
        got = raw(server, f"GET /{token}\r\n\r\n".encode()) + raw(server, f"{token} {token} {token} x\r\n\r\n".encode())
    shown = repr(server) + repr(vars(server)) + repr(answers) + got.decode() + caplog.text + "".join(capfd.readouterr())
    assert token not in shown
    assert "[redacted]" not in caplog.text


def test_closing_leaves_no_thread_and_may_be_done_twice(desk: Desk) -> None:
    """Neither while a client says nothing nor while one is being answered."""
    server = ControlServer(desk.read, desk.act)
    answers: list[bytes] = []
    asker = threading.Thread(
        target=lambda: answers.append(raw(server, b"GET /state HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    )
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE_S) as silent:
        desk.open.clear()
        asker.start()
        assert desk.asked.acquire(timeout=PATIENCE_S)
        desk.open.set()
        server.close()
        server.close()
        assert silent.recv(1) == b""
    asker.join(PATIENCE_S)
    assert len(answers) == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(f"autopod-control-{server.port}")]
    with pytest.raises(ConnectionRefusedError):
        ask(server, "GET", "/")


def test_a_slow_client_is_cut_and_the_others_are_served(serve: Callable[..., ControlServer]) -> None:
    """One that says nothing, and one that says a byte now and then."""
    server = serve(patience_s=0.2)
    place = ("127.0.0.1", server.port)
    with socket.create_connection(place, PATIENCE_S) as silent, socket.create_connection(place, PATIENCE_S) as drips:
        drips.sendall(b"GET /state HTTP/1.1\r\n")
        assert ask(server, "GET", "/state").status == 200
        assert silent.recv(1) == b""
        drips.settimeout(0.05)
        deadline = Deadline(SystemClock(), PATIENCE_S)
        with suppress(ConnectionError):
            while _drip(drips):
                assert not deadline.passed
    assert ask(server, "GET", "/state").status == 200


def _drip(sock: socket.socket) -> bool:
    """Send a byte. Returns whether the connection is still there."""
    sock.sendall(b"x")
    try:
        return sock.recv(1) != b""
    except TimeoutError:
        return True


def test_too_many_at_once_get_a_503_and_no_thread(serve: Callable[..., ControlServer]) -> None:
    server = serve(max_requests=3)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE_S))
        until(lambda: len(server._talks) == 3)
        assert raw(server, b"").startswith(b"HTTP/1.1 503 ")
        assert (
            len([each for each in threading.enumerate() if each.name.startswith(f"autopod-control-{server.port}-")])
            == 3
        )
    until(lambda: not server._talks)
    assert ask(server, "GET", "/state").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"POST /act HTTP/1.1\r\nContent-Length: 4000\r\n\r\nshort",
    ],
)  # fmt: skip
def test_what_is_no_request_hurts_nobody(
    serve: Callable[..., ControlServer], data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve(patience_s=0.2)
    raw(server, data)
    assert ask(server, "GET", "/state").status == 200
    assert "".join(capfd.readouterr()) == ""


def test_all_of_it_works_through_a_jupyter_server(jupyter: Jupyter, server: ControlServer, desk: Desk) -> None:
    """Below a base URL, where the page's own addresses are relative, and a press needs no XSRF token."""
    below = f"{jupyter.base}proxy/{server.port}/"
    page = jupyter.http.get(below, timeout=PATIENCE_S)
    assert page.headers["Content-Security-Policy"] == ask(server, "GET", "/").fields["content-security-policy"]
    assert jupyter.http.get(f"{below}ping?nonce=7", timeout=PATIENCE_S).json()["autopod"] == server.instance
    assert jupyter.http.get(f"{below}state", timeout=PATIENCE_S).text == _STATE
    wrong = jupyter.http.post(f"{below}act", json=_KILL, headers={"X-Autopod-Token": "wrong"}, timeout=PATIENCE_S)
    assert (wrong.status_code, desk.taken) == (401, [])
    token = {"X-Autopod-Token": server.token.reveal()}
    right = jupyter.http.post(f"{below}act", json=_KILL, headers=token, timeout=PATIENCE_S)
    assert (right.status_code, len(desk.taken)) == (200, 1)


def test_jupyter_server_proxy_hands_the_host_on_as_it_came(jupyter: Jupyter, pod: RecordingPod) -> None:
    """So a known host is what tells a hub's page from an attacker's: the control server relies on that."""
    fields = {"Host": "localhost:4321", "Authorization": f"token {_TOKEN}"}
    jupyter.http.get(f"{jupyter.base}proxy/{pod.port}/", headers=fields, timeout=PATIENCE_S)
    assert b"\r\nhost: localhost:4321\r\n" in pod.got[0].head.lower()
