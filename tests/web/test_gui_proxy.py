"""The proxy before ComfyUI, seen from a browser and from the pod, over real sockets."""

from __future__ import annotations

import http.client
import logging
import os
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autopod_nb.web.gui_head import MAX_HEAD_BYTES
from autopod_nb.web.gui_pod import Times
from autopod_nb.web.gui_proxy import GuiProxy
from tests.comfyui.servers import free_port
from tests.localpod.comfy_harness import Client
from tests.web.gui_pods import Got, RecordingPod, ask, browser, plain

_PAGE = "http://localhost:8888"
_SECRET = "PLANTED"
_SECRETS = ("Cookie", "Authorization", "X-XSRFToken", "Referer", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host",
            "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Forwarded-Context", "X-ProxyContextPath", "Sec-Fetch-Site",
            "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Ch-Ua", "User-Agent", "Proxy-Authorization", "TE", "Trailer",
            "Keep-Alive", "Upgrade", "Connection", "X-Jupyter-Token", "Sec-WebSocket-Protocol", "X-Real-IP",
            "Access-Control-Request-Headers", "Expect", "DNT", "Via", "X-Scheme", "X-CSRFToken")  # fmt: skip
_MAY_PASS = {"host", "content-length", "transfer-encoding", "accept", "accept-encoding", "accept-language", "range",
             "cache-control", "comfy-usage-source", "comfy-user", "content-disposition", "content-encoding", "pragma",
             "content-language", "content-type", "if-match", "if-modified-since", "if-none-match", "if-range",
             "if-unmodified-since", "origin", "service-worker"}  # fmt: skip
_TOKEN = st.text(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_!#$%&'*+.^`|~0123456789", min_size=1, max_size=20
)


@st.composite
def _fields(draw: st.DrawFn) -> list[str]:
    """Lines with secrets in them: known names in any letter case, and names that nobody knows, some of them twice."""
    names = draw(st.lists(st.sampled_from(_SECRETS) | _TOKEN, min_size=1, max_size=12))
    lines = []
    for name in names:
        if name.lower() in _MAY_PASS:
            continue
        cased = "".join(char.upper() if draw(st.booleans()) else char.lower() for char in name)
        space = draw(st.sampled_from(["", " ", "\t ", "   "]))
        lines += [f"{cased}:{space}{_SECRET}{draw(st.integers(0, 9))}{space}"] * draw(st.integers(1, 2))
    return lines


@pytest.fixture(scope="module")
def kept() -> Iterator[tuple[RecordingPod, GuiProxy]]:
    pod = RecordingPod()
    proxy = GuiProxy(pod.port, max_upload_bytes=1000)
    yield pod, proxy
    proxy.close()
    pod.close()


@given(fields=_fields(), query=st.sampled_from(["", f"?token={_SECRET}", f"?a=1&%74oken={_SECRET}&_xsrf={_SECRET}"]))
def test_no_header_of_the_notebook_reaches_a_pod(
    kept: tuple[RecordingPod, GuiProxy], fields: list[str], query: str
) -> None:
    pod, proxy = kept
    before = len(pod.got)
    answer = ask(proxy, f"{proxy.prefix}api/queue{query}", *fields)
    if answer.status == 400:  # some may come once only
        assert len(fields) > len({field.partition(":")[0].lower() for field in fields})
        assert len(pod.got) == before
        return
    assert (answer.status, len(pod.got)) == (200, before + 1)
    assert _SECRET.encode() not in pod.got[-1].head
    assert proxy.prefix.strip("/").encode() not in pod.got[-1].head


def test_a_pod_gets_what_comfyui_reads_and_its_own_address(proxy: GuiProxy, pod: RecordingPod) -> None:
    fields = ("Accept: */*", "Range: bytes=1-", "Comfy-User: me", 'If-None-Match: "x"', "Content-Type: text/plain")
    ask(proxy, f"{proxy.prefix}api/view?filename=a%2Fb.png", *fields, "Cookie: a=b")
    lines = pod.got[0].head.decode().split("\r\n")
    assert lines[:3] == ["GET /api/view?filename=a%2Fb.png HTTP/1.1", f"Host: 127.0.0.1:{pod.port}",
                         "User-Agent: Mozilla/5.0"]  # fmt: skip
    assert sorted(line.lower() for line in lines[3:-1]) == sorted(field.lower() for field in fields)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/api/queue",
        "*",
        "/../{p}/x",
        "//{p}/x",
        "/{P}/x",
        "/%2F{p}/x",
        "/{p}",
        "/{p}%2Fx",
        "http://127.0.0.1/{p}/x",
        "/x/{p}/x",
        "/{p}/../x",
        "/{p}/a/%2e%2e/x",
        "/{p}//x",
        "/{p}/a%2f..%2fx",
        "/{p}/a\\..\\x",
        "/{p}x/x",
        "/{p}/.autopod/x",
        "/;{p}/x",
    ],
)
def test_a_path_that_is_not_below_the_prefix_leads_nowhere(target: str, proxy: GuiProxy, pod: RecordingPod) -> None:
    secret = proxy.prefix.strip("/")
    shown = target.replace("{p}", secret).replace("{P}", secret.swapcase())
    answer = ask(proxy, shown)
    assert (answer.status, answer.body, pod.connections) == (404, b"", 0)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://127.0.0.1:{other}",
        "http://localhost:{port}",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:{port}.evil.example",
        "",
    ],
)
def test_another_page_may_ask_for_nothing(origin: str, proxy: GuiProxy, pod: RecordingPod) -> None:
    proxy.allow_origin("http://localhost:1")
    shown = origin.format(port=proxy.port, other=proxy.port - 1)
    for path in ("api/queue", ".autopod/ping?nonce=1", ""):
        for method in ("GET", "POST", "OPTIONS"):
            answer = ask(proxy, proxy.prefix + path, f"Origin: {shown}", method=method)
            assert (answer.status, pod.connections) == (403, 0)
            assert "access-control-allow-origin" not in answer.fields


def test_the_frame_itself_and_the_pages_we_were_told_of_may_ask(proxy: GuiProxy, pod: RecordingPod) -> None:
    proxy.allow_origin(_PAGE)
    for host in ("127.0.0.1", "localhost", "[::1]"):
        where = f"{host}:{proxy.port}"
        assert ask(proxy, proxy.prefix, f"Origin: http://{where}", host=where).status == 200
    assert ask(proxy, proxy.prefix, f"Origin: {_PAGE}", host="localhost:8888").status == 200
    assert b"rigin" not in b"".join(got.head for got in pod.got)


@pytest.mark.parametrize("fields", [("Origin: {own}", "Origin: https://evil.example"), ("Host: evil.example",)])
def test_a_header_that_must_come_once_and_comes_twice_is_refused(
    fields: tuple[str, ...], proxy: GuiProxy, pod: RecordingPod
) -> None:
    own = f"http://127.0.0.1:{proxy.port}"
    assert ask(proxy, proxy.prefix, *(field.format(own=own) for field in fields)).status == 400
    assert pod.connections == 0


def test_a_name_that_was_pointed_to_this_machine_leads_nowhere(proxy: GuiProxy, pod: RecordingPod) -> None:
    host = f"rebound.evil.example:{proxy.port}"
    assert ask(proxy, proxy.prefix, host=host).status == 404
    assert ask(proxy, proxy.prefix, f"Origin: http://{host}", host=host).status == 404
    assert pod.connections == 0


def test_pictures_on_other_pages_and_service_workers_get_nothing(proxy: GuiProxy, pod: RecordingPod) -> None:
    for fields in (("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"), ("Service-Worker: script",)):
        assert ask(proxy, f"{proxy.prefix}x.js", *fields).status == 403
    assert pod.connections == 0
    assert ask(proxy, proxy.prefix, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate").status == 200


def test_a_ping_is_answered_here_and_only_for_our_pages(proxy: GuiProxy, pod: RecordingPod) -> None:
    proxy.allow_origin(_PAGE)
    ping = f"{proxy.prefix}.autopod/ping?nonce=a1"
    answer = ask(proxy, ping, f"Origin: {_PAGE}")
    assert (answer.status, answer.body) == (200, b'{"nonce": "a1"}')
    assert answer.fields["access-control-allow-origin"] == _PAGE
    private = ask(proxy, ping, f"Origin: {_PAGE}", "Access-Control-Request-Method: GET",
                  "Access-Control-Request-Private-Network: true", method="OPTIONS")  # fmt: skip
    assert (private.status, private.fields["access-control-allow-private-network"]) == (204, "true")
    assert "access-control-allow-origin" not in ask(proxy, ping).fields
    assert ask(proxy, f"{proxy.prefix}.autopod/ping?nonce=<b>").status == 404
    assert pod.connections == 0


def test_a_pod_plants_nothing_in_the_browser(proxy: GuiProxy, pod: RecordingPod) -> None:
    proxy.allow_origin(_PAGE)
    bad = [b"Set-Cookie: a=b", b"set-cookie: c=d", b"Clear-Site-Data: *", b"Strict-Transport-Security: max-age=9",
           b"Access-Control-Allow-Origin: *", b"Service-Worker-Allowed: /", b"Refresh: 0;url=https://evil.example",
           b"Content-Security-Policy: frame-ancestors *", b"X-Frame-Options: DENY", b"Link: <https://evil.example>",
           b"Referrer-Policy: unsafe-url", b"Server: x", b"Alt-Svc: h3"]  # fmt: skip
    pod.script = lambda _: plain(b"x", b"Content-Type: text/html", b'ETag: "1"', *bad, status=b"200 Set-Cookie: evil=1")
    answer = ask(proxy, proxy.prefix)
    ours = {"content-security-policy", "referrer-policy", "x-content-type-options", "cross-origin-opener-policy",
            "cross-origin-resource-policy", "permissions-policy", "content-length", "connection"}  # fmt: skip
    assert set(answer.fields) == {"content-type", "etag"} | ours
    assert answer.fields["referrer-policy"] == "no-referrer"
    assert f"frame-ancestors 'self' {_PAGE};" in answer.fields["content-security-policy"]
    assert "frame-ancestors *" not in answer.fields["content-security-policy"]


@pytest.mark.parametrize(("location", "status", "there"), [("/x", 302, "./../x"), ("https://evil.example/", 502, None)])
def test_a_redirect_stays_below_the_prefix(
    location: str, status: int, there: str | None, proxy: GuiProxy, pod: RecordingPod
) -> None:
    pod.script = lambda _: plain(b"", b"Location: " + location.encode(), status=b"302 Found")
    answer = ask(proxy, f"{proxy.prefix}a/b")
    assert (answer.status, answer.fields.get("location")) == (status, there)


def test_a_connection_serves_many_requests_and_only_one_of_the_pod(proxy: GuiProxy, pod: RecordingPod) -> None:
    bodies = {"GET": b"", "POST": b"abc", "HEAD": b""}
    pod.script = lambda got: plain(b"" if got.first.startswith("HEAD") else got.first.encode())
    with browser(proxy) as raw:
        for method in ("GET", "HEAD", "GET", "OPTIONS", "GET"):
            head = f"{method} {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\n"
            answer = raw.ask(f"{head}\r\n".encode() + bodies.get(method, b""), method)
            assert answer.status == 200
            assert answer.body == (b"" if method == "HEAD" else f"{method} /x HTTP/1.1".encode())
    assert pod.connections == 1


def test_a_kept_connection_that_the_pod_has_closed_is_not_noticed(proxy: GuiProxy, pod: RecordingPod) -> None:
    answers = iter([plain(b"1"), b"", plain(b"2")])
    pod.script = lambda _: next(answers)
    request = f"GET {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with browser(proxy) as raw:
        assert raw.ask(request).body == b"1"
        assert raw.ask(request).body == b"2"
    assert pod.connections == 2


def test_a_post_is_never_sent_twice(proxy: GuiProxy, pod: RecordingPod) -> None:
    answers = iter([plain(b"1"), b""])
    pod.script = lambda _: next(answers)
    with browser(proxy) as raw:
        raw.ask(f"GET {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        lost = raw.ask(f"POST {proxy.prefix}prompt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx".encode())
    assert lost.status == 502
    assert [got.first.split()[0] for got in pod.got] == ["GET", "POST"]


def test_bytes_behind_an_answer_do_not_become_the_next_one(proxy: GuiProxy, pod: RecordingPod) -> None:
    pod.script = lambda _: plain(b"true") + plain(b"poison", b"Content-Type: text/html")
    request = f"GET {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with browser(proxy) as raw:
        assert [raw.ask(request).body for _ in range(3)] == [b"true"] * 3


def test_a_pod_that_is_not_there_or_says_nothing_is_one_line_of_words(
    proxy_to: Callable[..., GuiProxy], proxy: GuiProxy, pod: RecordingPod
) -> None:
    nobody = proxy_to(free_port())
    gone = ask(nobody, nobody.prefix)
    assert (gone.status, gone.body.decode().count("\n")) == (502, 0)
    assert "Connection refused" in gone.body.decode()
    for answer in (b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"):
        pod.script = lambda _, answer=answer: answer  # type: ignore[misc] # bound now
        silent = ask(proxy, proxy.prefix, "Connection: close")
        assert silent.status == 502
        assert b"gives no answer" in silent.body


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 100\r\n\r\nhalf",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nZZ\r\n\r\n0\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_breaks_off_here(rest: bytes, proxy: GuiProxy, pod: RecordingPod) -> None:
    def break_off(_: Got) -> bytes:
        pod.last.sendall(b"HTTP/1.1 200 OK\r\n" + rest)
        return b""

    pod.script = break_off
    with browser(proxy) as raw, pytest.raises((http.client.IncompleteRead, ConnectionError)):
        raw.ask(f"GET {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def test_uploads_arrive_byte_by_byte_and_no_larger_than_allowed(
    proxy_to: Callable[..., GuiProxy], pod: RecordingPod
) -> None:
    proxy = proxy_to(pod.port, max_upload_bytes=lambda: 3_000_000)
    data = os.urandom(3_000_000)
    target = f"{proxy.prefix}upload/image"
    assert ask(proxy, target, method="POST", body=data).status == 200
    assert pod.got[0].body == data
    chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (data[:7], data[7:2_000_000], data[2_000_000:]))
    head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    with browser(proxy) as raw:
        assert raw.ask(head + chunked + b"0\r\n\r\n", "POST").status == 200
    assert pod.got[1].body == data

    before = pod.connections
    refused = ask(proxy, target, "Expect: 100-continue", method="POST", body=data + b"x")
    assert (refused.status, pod.connections) == (413, before)
    assert b"3000000 bytes" in refused.body
    with browser(proxy) as raw:
        assert raw.ask(head + chunked + b"1\r\nx\r\n0\r\n\r\n", "POST").status == 413
    assert [len(got.body) for got in pod.got[:2]] == [3_000_000, 3_000_000]


def test_who_waits_to_be_asked_for_the_body_is_asked(proxy: GuiProxy, pod: RecordingPod) -> None:
    head = f"POST {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    with browser(proxy) as raw:
        raw.sock.sendall(head.encode())
        assert raw.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert raw.ask(b"body", "POST").status == 200
    assert pod.got[0].body == b"body"


def test_the_limit_of_uploads_is_asked_of_the_pod_once(proxy_to: Callable[..., GuiProxy], pod: RecordingPod) -> None:
    pod.script = lambda got: plain(b'{"max_upload_size": 5}' if "/features" in got.first else b"taken")
    proxy = proxy_to(pod.port)
    assert pod.connections == 0
    assert [ask(proxy, f"{proxy.prefix}x", method="POST", body=b"x" * n).status for n in (5, 6, 7)] == [200, 413, 413]
    assert [got.first for got in pod.got] == ["GET /features HTTP/1.1", "POST /x HTTP/1.1"]


@pytest.mark.parametrize("told", [b"no", b"{}", b'{"max_upload_size": "9"}', b'{"max_upload_size": -1}', b"[" * 90000])
def test_a_pod_that_does_not_tell_its_limit_has_the_usual_one(
    told: bytes, proxy_to: Callable[..., GuiProxy], pod: RecordingPod
) -> None:
    pod.script = lambda got: plain(told if "/features" in got.first else b"taken")
    proxy = proxy_to(pod.port)
    assert ask(proxy, f"{proxy.prefix}x", method="POST", body=b"x").status == 200
    with browser(proxy) as raw:
        head = f"POST {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {(100 << 20) + 1}\r\n\r\n"
        assert raw.ask(head.encode(), "POST").status == 413


@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_answer_is_never_held_as_a_whole(chunked: bool, proxy: GuiProxy, pod: RecordingPod) -> None:  # noqa: FBT001
    part, count = b"x" * 65536, 512
    pod.script = lambda _: _stream(pod, part, count, chunked=chunked)
    tracemalloc.start()
    try:
        with browser(proxy) as raw:
            raw.sock.sendall(f"GET {proxy.prefix}x HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = http.client.HTTPResponse(raw.sock)
            answer.begin()
            tracemalloc.reset_peak()
            size = 0
            while data := answer.read(65536):
                size += len(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size == len(part) * count
    assert peak < 4 << 20


def _stream(pod: RecordingPod, part: bytes, count: int, *, chunked: bool) -> bytes:
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (len(part) * count)
    pod.last.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
    for _ in range(count):
        pod.last.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
    pod.last.sendall(b"0\r\n\r\n" if chunked else b"")
    return b""


def test_a_pod_that_works_for_a_browser_that_is_gone_is_let_go(proxy: GuiProxy, pod: RecordingPod) -> None:
    ended: list[bytes] = []

    def wait_for_the_end(_: Got) -> bytes:
        raw.close()
        ended.append(pod.last.recv(10))
        return b""

    pod.script = wait_for_the_end
    with browser(proxy) as raw:
        raw.sock.sendall(f"GET {proxy.prefix}slow HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        pod.wait(lambda: bool(ended))
    assert ended == [b""]


def test_who_is_slow_with_a_head_or_idle_for_long_is_left(proxy_to: Callable[..., GuiProxy], pod: RecordingPod) -> None:
    proxy = proxy_to(pod.port, times=Times(head_s=0.1, idle_s=0.3))
    with browser(proxy) as slow, browser(proxy) as idle:
        slow.sock.sendall(b"GET /x HTTP/1.1\r\nHost: ")
        assert slow.sock.recv(10) == b""
        assert idle.sock.recv(10) == b""
    assert ask(proxy, proxy.prefix).status == 200


def test_a_head_without_end_is_refused(proxy: GuiProxy, pod: RecordingPod) -> None:
    with browser(proxy) as raw:
        assert raw.ask(b"GET /x HTTP/1.1\r\nX: " + b"x" * (MAX_HEAD_BYTES + 70_000)).status == 400
    assert pod.connections == 0


def test_beyond_the_greatest_number_of_connections_a_new_one_is_sent_away(
    proxy_to: Callable[..., GuiProxy], pod: RecordingPod
) -> None:
    proxy = proxy_to(pod.port, max_connections=1)
    request = f"GET {proxy.prefix} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with browser(proxy) as first:
        assert first.ask(request).status == 200
        with browser(proxy) as second:
            assert second.sock.recv(1000).startswith(b"HTTP/1.1 503")
        assert first.ask(request).status == 200


def test_neither_repr_nor_log_shows_the_prefix(
    proxy: GuiProxy, pod: RecordingPod, proxy_to: Callable[..., GuiProxy], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    nobody = proxy_to(free_port())
    pod.script = lambda _: b"HTTP/1.1 999 no\r\n\r\n"
    for each in (proxy, nobody):
        ask(each, f"{each.prefix}x?token=1", "Cookie: a")
        ask(each, f"{each.prefix}x", "Origin: null")
        assert each.prefix.strip("/") not in repr(each) + caplog.text


def test_a_closed_proxy_answers_nobody_and_may_be_closed_again(proxy: GuiProxy, pod: RecordingPod) -> None:
    with browser(proxy) as raw:
        assert raw.ask(f"GET {proxy.prefix} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()).status == 200
        proxy.close()
        assert raw.sock.recv(10) == b""
    proxy.close()
    with pytest.raises(ConnectionRefusedError):
        ask(proxy, proxy.prefix)


def test_files_of_the_engine_come_and_go_whole_and_in_parts(client: Client) -> None:
    data = os.urandom(2_000_000)
    assert client.upload("a b.bin", data, subfolder="x/y").json() == {
        "name": "a b.bin",
        "subfolder": "x/y",
        "type": "input",
    }
    place = "/api/view?filename=a%20b.bin&subfolder=x%2Fy&type=input"
    assert client.request("GET", place).content == data
    part = client.request("GET", place, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, data[10:20], "bytes 10-19/2000000")
    head = client.request("HEAD", place)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "2000000", b"")
    again = client.request("GET", place, headers={"If-None-Match": head.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.request("OPTIONS", "/api/prompt").status_code == 200
    saved = client.request("POST", "/api/userdata/workflows%2Fa.json?overwrite=true", data=b"{}")
    assert (saved.status_code, saved.json()) == (200, "workflows/a.json")
