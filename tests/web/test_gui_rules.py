"""The pure rules of the proxy before ComfyUI."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.web import gui_address as address
from autopod_nb.web import gui_headers as headers
from autopod_nb.web.gui_door import Door, Refused
from autopod_nb.web.gui_head import BadMessage, Body, End, Head, parse_head, request_body, request_line, response_body

_HUB = "https://hub.example.org"


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        "",
        "file://",
        "https://",
        "https://a b",
        "https://a;b",
        "https://a/x",
        "javascript:alert(1)",
        "https://a\r\nX: y",
        "https://user@a",
        "data:text/html,x",
    ],
)
def test_what_is_no_origin_of_a_page_is_never_allowed(origin: str) -> None:
    with pytest.raises(ValueError, match="not the origin"):
        address.normal_origin(origin)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8888", "https://Hub.Example.org", "http://[::1]:8888",
                                    "vscode-webview://0abc-12"])  # fmt: skip
def test_the_origin_of_a_page_is_taken_in_lower_case(origin: str) -> None:
    assert address.normal_origin(origin) == origin.lower()


@pytest.mark.parametrize(
    ("host", "good"),
    [("127.0.0.1:5", True), ("localhost:9", True), ("[::1]:5", True), ("LOCALHOST", True), ("hub.example.org", True),
     ("hub.example.org:8443", True), ("evil.example", False), ("127.0.0.1.evil.example:5", False), ("", False),
     ("localhost.evil.example", False), ("127.0.0.1:5@evil.example", False), ("a b", False)],
)  # fmt: skip
def test_a_host_that_is_neither_loopback_nor_told_of_is_refused(host: str, good: bool) -> None:  # noqa: FBT001
    assert address.host_is_ours(host, {_HUB}) is good


@pytest.mark.parametrize(
    ("origin", "host", "good"),
    [
        ("http://127.0.0.1:5", "127.0.0.1:5", True),
        ("http://localhost:5", "localhost:5", True),
        ("http://[::1]:5", "[::1]:5", True),
        ("http://localhost:5", "127.0.0.1:5", False),
        ("http://127.0.0.1:6", "127.0.0.1:5", False),
        ("https://127.0.0.1:5", "127.0.0.1:5", False),
        (_HUB, _HUB[8:], True),
        ("http://hub.example.org", "hub.example.org", False),
        ("null", "127.0.0.1:5", False),
        ("", "127.0.0.1:5", False),
        ("https://evil.example", "evil.example", False),
    ],
)
def test_an_origin_is_the_host_itself_or_a_page_that_was_told_of(origin: str, host: str, good: bool) -> None:  # noqa: FBT001
    assert address.origin_is_ours(origin, host, {_HUB}) is good


@pytest.mark.parametrize("path", ["/x", "..", "a/../b", "a/..", "%2e%2e/x", "a/%2E./b", "a%2f..%2fb", "a%5c..%5cb", ".",
                                  "%252e%252e/x", "a\\b", "x%00", "x%0d%0ay", "a/./b", "a#b"])  # fmt: skip
def test_a_path_that_leads_elsewhere_than_it_seems_is_not_plain(path: str) -> None:
    assert not address.path_is_plain(path)


@pytest.mark.parametrize("path", ["", "api/prompt", "userdata/workflows%2Fa.json", "a..b", "assets/x-1.js", "..a/b"])
def test_paths_of_comfyui_are_plain(path: str) -> None:
    assert address.path_is_plain(path)


@pytest.mark.parametrize(
    ("query", "clean"),
    [("token=S", ""), ("a=1&token=S&b=%20", "a=1&b=%20"), ("%74oken=S", ""), ("TOKEN=S&x", "x"), ("_xsrf=S&a=b", "a=b"),
     ("filename=a+b.png&type=output", "filename=a+b.png&type=output"), ("+token+=S", ""), ("tokens=1", "tokens=1")],
)  # fmt: skip
def test_a_query_loses_what_is_jupyters_and_nothing_else(query: str, clean: str) -> None:
    assert address.clean_query(query) == clean


@pytest.mark.parametrize(
    ("path", "there"),
    [("api/userdata/workflows/a.json", "api/userdata/workflows%2Fa.json"), ("userdata/a.json", "userdata/a.json"),
     ("userdata/a/b/move/c/d", "userdata/a%2Fb/move/c%2Fd"), ("api/v2/userdata", "api/v2/userdata"),
     ("api/view", "api/view")],
)  # fmt: skip
def test_user_files_get_back_the_slashes_that_the_jupyter_proxy_decodes(path: str, there: str) -> None:
    assert address.user_file_path(path) == there


@pytest.mark.parametrize(
    ("location", "path", "there"),
    [("/x", "", "./x"), ("/", "a/b", "./../"), ("/x?y=1#z", "a/b/c", "./../../x?y=1#z"), ("x", "a/b", "./../a/x"),
     ("http://127.0.0.1:5/x", "a", "./x"), ("http://localhost:5", "a", "./"), ("http://127.0.0.1:50/x", "a", None),
     ("https://evil.example/", "a", None), ("//evil.example/", "a", None), ("/../x", "a", None), ("\\evil", "a", None),
     ("javascript:alert(1)", "a", None), ("http://127.0.0.1:5@evil/", "a", None), ("/%2e%2e/x", "a", None)],
)  # fmt: skip
def test_a_redirect_stays_below_the_prefix_or_is_none(location: str, path: str, there: str | None) -> None:
    assert address.relative_location(location, path, port=5) == there


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nA : b",
        b"GET / HTTP/1.1\r\nA: b\r\n c",
        b"GET / HTTP/1.1\r\nA: b\rc",
        b"GET / HTTP/1.1\r\n: b",
        b"GET / HTTP/1.1\r\nA",
        b"GET / HTTP/1.1\r\nA: \0",
        b"GET / HTTP/1.1\nA: b\r\nB: c",
    ],
)
def test_a_head_that_two_readers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_head(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_bad_message(data: bytes) -> None:
    try:
        head = parse_head(data)
        request_line(head)
        request_body(head)
    except BadMessage:
        return
    assert re.match(rb"[A-Z]+ [!-~]+ HTTP/1\.[01]", data)


@pytest.mark.parametrize(
    "fields",
    [(("content-length", "1"), ("transfer-encoding", "chunked")), (("content-length", "1"), ("content-length", "2")),
     (("content-length", "+1"),), (("content-length", "1, 1"),), (("transfer-encoding", "gzip, chunked"),),
     (("transfer-encoding", "chunked"), ("transfer-encoding", "chunked"))],
)  # fmt: skip
def test_a_body_whose_end_is_doubtful_is_refused(fields: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(BadMessage):
        request_body(Head("POST / HTTP/1.1", fields))


def test_an_answer_ends_as_http_says() -> None:
    chunked, counted = (("transfer-encoding", "chunked"),), (("content-length", "7"),)
    assert response_body(Head("HTTP/1.1 200 OK", chunked), "GET") == Body(End.CHUNKS)
    assert response_body(Head("HTTP/1.0 200", ()), "GET") == Body(End.CLOSE)
    assert response_body(Head("HTTP/1.1 200 OK", counted), "HEAD").none
    assert response_body(Head("HTTP/1.1 304 Not Modified", counted), "GET").none


def test_the_policy_names_the_prefix_where_the_origin_is_not_ours_alone() -> None:
    told = headers.policy("hub.example.org", "/user/joe/proxy/5", "/S/", {_HUB})
    base = "hub.example.org/user/joe/proxy/5/S/"
    assert f"connect-src https://{base} wss://{base} data: blob:" in told
    assert f"form-action https://{base} wss://{base};" in told
    assert f"frame-ancestors 'self' {_HUB};" in told
    direct = headers.policy("127.0.0.1:5", "", "/S/", ())
    assert "frame-ancestors 'self';" in direct
    assert "connect-src 'self' ws://127.0.0.1:5 data: blob:;" in direct
    assert "allow-popups" in direct
    for never in ("allow-top-navigation", "to-escape-sandbox"):
        assert never not in told + direct
    assert "allow-popups" not in told


@pytest.mark.parametrize("value", ["/proxy/5; script-src *", "/proxy/6", "/a b/proxy/5", "//evil/proxy/5/x", "proxy/5"])
def test_a_forged_place_before_ours_is_not_believed(value: str) -> None:
    assert headers.place_before(Head("GET / HTTP/1.1", (("x-forwarded-prefix", value),)), 5) == ""


def test_nothing_shows_the_prefix_but_its_use() -> None:
    door = Door("/SECRET/", port=5, pod_port=6)
    asked = door.judge(parse_head(b"GET /SECRET/a?b HTTP/1.1\r\nHost: localhost:5"))
    assert asked.target == "/a?b"
    assert "SECRET" not in repr(asked)
    assert "SECRET" not in repr(door)
    with pytest.raises(Refused) as refused:
        door.judge(parse_head(b"GET /SECRE/a HTTP/1.1\r\nHost: localhost:5"))
    assert (refused.value.status, refused.value.text) == (404, "")
