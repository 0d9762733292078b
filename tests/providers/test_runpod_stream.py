from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.providers.runpod_stream import past_lines

_WITHIN_S = 10.0


@contextmanager
def _stream(*, lines: int, every_s: float) -> Iterator[str]:
    """A server whose stream has some lines at once, then one every so often, or none; it never ends by itself."""
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._send(b"".join(b"data: %d\n" % number for number in range(lines)))
            with suppress(OSError):  # the other side goes away, which is the end
                while not over.wait(every_s):
                    self._send(b"data: more\n")
            self.close_connection = True

        def _send(self, data: bytes) -> None:
            if data:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        def log_message(self, *_args: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        over.set()
        server.shutdown()
        thread.join(_WITHIN_S)
        server.server_close()


def _read(url: str, **times: float) -> tuple[list[bytes], bool]:
    """The lines, and whether they were read in time."""
    deadline = Deadline(SystemClock(), _WITHIN_S)
    with closing(requests.get(url, stream=True, timeout=60)) as response:
        return list(past_lines(response, **times)), not deadline.passed


def test_the_past_is_over_where_the_stream_falls_silent() -> None:
    with _stream(lines=5000, every_s=60) as url:
        lines, in_time = _read(url, quiet_s=0.2)
    assert lines == [b"data: %d" % number for number in range(5000)]
    assert in_time


def test_a_stream_without_a_past_is_waited_for_a_moment_only() -> None:
    with _stream(lines=0, every_s=60) as url:
        assert _read(url, first_s=0.2) == ([], True)


@pytest.mark.parametrize("every_s", [0.001, 0.05])
def test_a_stream_that_never_falls_silent_is_left_all_the_same(every_s: float) -> None:
    with _stream(lines=3, every_s=every_s) as url:
        lines, in_time = _read(url, quiet_s=1.0, whole_s=0.3)
    assert lines[:3] == [b"data: 0", b"data: 1", b"data: 2"]
    assert in_time
