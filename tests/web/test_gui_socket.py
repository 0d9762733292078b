"""WebSockets through the proxy before ComfyUI."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
import websocket

from autopod_nb.web.gui_proxy import GuiProxy
from tests.localpod.comfy_harness import PATIENCE_S, Client
from tests.web.gui_pods import RecordingPod, ask, browser, plain

_BLACK_JOB = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}},
              "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "gui"}}}  # fmt: skip


@contextmanager
def _socket(proxy: GuiProxy, **options: Any) -> Iterator[websocket.WebSocket]:
    url = f"ws://127.0.0.1:{proxy.port}{proxy.prefix}ws?clientId=a&token=PLANTED"
    line = websocket.create_connection(url, timeout=PATIENCE_S, **options)
    try:
        yield line
    finally:
        line.shutdown()  # type: ignore[no-untyped-call] # the library ships no types


def test_frames_of_any_size_come_back_as_they_went(proxy: GuiProxy) -> None:
    with _socket(proxy) as line:
        for size in (0, 125, 126, 65_536, 300_000, 3_000_000):
            data = os.urandom(size)
            line.send_binary(data)
            assert line.recv() == data
        line.send("text ✓")
        assert line.recv() == "text ✓"


def test_a_handshake_carries_nothing_of_the_notebook_and_plants_nothing(proxy: GuiProxy, pod: RecordingPod) -> None:
    own = f"http://127.0.0.1:{proxy.port}"
    header = ["Authorization: PLANTED", "X-XSRFToken: PLANTED", "Sec-WebSocket-Protocol: PLANTED"]
    with _socket(proxy, cookie="login=PLANTED", header=header, origin=own) as line:
        assert "set-cookie" not in (line.getheaders() or {})
        line.send("x")
        assert line.recv() == "x"
    head = pod.got[0].head
    assert head.startswith(b"GET /ws?clientId=a HTTP/1.1\r\n")
    assert b"PLANTED" not in head
    assert b"Sec-WebSocket-Key: ".lower() in head.lower()
    assert b"rigin" not in head


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1"])
def test_a_socket_of_another_page_is_refused(origin: str, proxy: GuiProxy, pod: RecordingPod) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as refused, _socket(proxy, origin=origin):
        pass
    assert (refused.value.status_code, pod.connections) == (403, 0)


def test_a_pod_that_wants_no_socket_says_so_itself(proxy: GuiProxy, pod: RecordingPod) -> None:
    fields = ("Connection: Upgrade", "Upgrade: h2c")
    pod.script = lambda _: plain(b"plain")
    assert ask(proxy, proxy.prefix, *fields).body == b"plain"
    assert b"pgrade" not in pod.got[0].head


def test_what_the_browser_sent_with_the_handshake_is_not_lost(proxy: GuiProxy, pod: RecordingPod) -> None:
    lines = (
        f"GET {proxy.prefix}ws HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        "",
        "",
    )
    head = "\r\n".join(lines).encode()
    masked = b"\x82\x83\0\0\0\0abc"
    with browser(proxy) as raw:
        raw.sock.sendall(head + masked)
        got = b""
        while not got.endswith(b"abc"):
            data = raw.sock.recv(1000)
            assert data, got
            got += data
    assert got.startswith(b"HTTP/1.1 101 ")


def test_a_side_that_closes_hears_the_other_sides_farewell(proxy: GuiProxy) -> None:
    with _socket(proxy) as line:
        line.send_close()
        assert line.recv_data()[0] == websocket.ABNF.OPCODE_CLOSE
        assert line.sock is not None
        assert line.sock.recv(10) == b""


def test_a_reader_that_stands_still_holds_only_its_own_line_back(proxy: GuiProxy) -> None:
    with _socket(proxy) as still, _socket(proxy) as other:
        sender = threading.Thread(target=_send_until_it_ends, args=(still,))
        sender.start()
        try:
            for _ in range(20):
                other.send("x")
                assert other.recv() == "x"
        finally:
            proxy.close()
            sender.join(PATIENCE_S)
    assert not sender.is_alive()


def _send_until_it_ends(line: websocket.WebSocket) -> None:
    with suppress(OSError, websocket.WebSocketException):
        while True:
            line.send_binary(b"x" * 100_000)


def test_closing_the_proxy_ends_open_sockets_and_their_threads(
    proxy_to: Callable[..., GuiProxy], pod: RecordingPod
) -> None:
    proxy = proxy_to(pod.port)
    with ExitStack() as stack:
        lines = [stack.enter_context(_socket(proxy)) for _ in range(20)]
        lines[0].send("x")
        assert lines[0].recv() == "x"
        names = [thread.name for thread in threading.enumerate() if thread.name.startswith(f"autopod-gui-{proxy.port}")]
        assert len(names) == 21
        proxy.close()
        for line in lines:
            with pytest.raises((OSError, websocket.WebSocketException)):
                line.recv()
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith(f"autopod-gui-{proxy.port}")]
    assert left == []


def test_twenty_pages_hear_what_the_engine_says(client: Client) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(client.listening(f"page-{number}")) for number in range(20)]
        prompt_id = client.submit(_BLACK_JOB, "page-7")
        listeners[7].wait_end(prompt_id)
        for listener in listeners:
            listener.wait(lambda m: m["type"] == "status" and m["data"]["status"]["exec_info"]["queue_remaining"] == 0)
            assert bool(listener.of(prompt_id)) is (listener is listeners[7])
    name = client.past(prompt_id)["outputs"]["2"]["images"][0]["filename"]
    assert client.request("GET", f"/view?filename={name}").content.startswith(b"\x89PNG")


def test_the_first_words_of_a_page_reach_the_engine(client: Client) -> None:
    with client.listening("flags", metadata=True) as listener:
        told = listener.wait(lambda m: m["type"] == "feature_flags")
        assert json.dumps(told["data"]) == json.dumps(client.get("/features"))
