"""The proxy before ComfyUI behind a real Jupyter server with jupyter-server-proxy, under a base URL as of a hub."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
import websocket

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.web.gui_proxy import GuiProxy
from tests.comfyui.servers import free_port
from tests.localpod.comfy_harness import PATIENCE_S, Client
from tests.web.gui_pods import RecordingPod, plain

_TOKEN = "jupyter-secret-token"
_START_S = 60.0


@dataclass
class Jupyter:
    """A running server: its origin, its base URL, and a browser's session that has logged in."""

    origin: str
    base: str
    http: requests.Session

    def address(self, proxy: GuiProxy) -> str:
        """Where the proxy is, seen through the server."""
        return f"{self.base}proxy/{proxy.port}{proxy.prefix}"


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    home, port = tmp_path_factory.mktemp("jupyter"), free_port()
    command = [sys.executable, "-m", "jupyter_server", f"--port={port}", "--port-retries=0", "--ip=127.0.0.1",
               "--no-browser", "--allow-root", "--ServerApp.base_url=/user/joe/",
               f"--ServerApp.root_dir={home}"]  # fmt: skip
    process = subprocess.Popen(
        [*command, "--ServerApp.jpserver_extensions=jupyter_server_proxy=True"],
        env=_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    origin = f"http://127.0.0.1:{port}"
    try:
        with requests.Session() as http:
            _wait_for(process, http, f"{origin}/user/joe/api/status?token={_TOKEN}")
            yield Jupyter(origin, f"{origin}/user/joe/", http)
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def _environment(home: Path) -> dict[str, str]:
    folders = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {name: str(home / name.lower()) for name in folders}
    return {**os.environ, **own, "HOME": str(home), "JUPYTER_TOKEN": _TOKEN}


def _wait_for(process: subprocess.Popen[bytes], http: requests.Session, url: str) -> None:
    deadline = Deadline(SystemClock(), _START_S)
    while not deadline.passed:
        assert process.poll() is None
        try:
            if http.get(url, timeout=PATIENCE_S).ok:
                return
        except requests.ConnectionError:
            continue
    raise AssertionError("the Jupyter server does not start")


def test_what_the_jupyter_server_adds_and_the_browser_sends_stays_here(
    jupyter: Jupyter, proxy: GuiProxy, pod: RecordingPod
) -> None:
    assert jupyter.http.cookies, "the browser has logged in"
    header = {"Referer": f"{jupyter.base}lab", "X-XSRFToken": "x", "Authorization": f"token {_TOKEN}"}
    answer = jupyter.http.get(
        f"{jupyter.address(proxy)}api/queue?token={_TOKEN}&a=b", headers=header, timeout=PATIENCE_S
    )
    assert (answer.status_code, answer.text) == (200, "hello")
    head = pod.got[0].head.decode().lower()
    assert head.startswith("get /api/queue?a=b http/1.1\r\n")
    for word in (_TOKEN, "cookie", "forwarded", "proxycontext", "referer", "xsrf", "/user/joe", proxy.prefix.lower()):
        assert word not in head
    policy = answer.headers["Content-Security-Policy"]
    below = jupyter.address(proxy)
    assert f"connect-src {below} {below.replace('http', 'ws', 1)} data:" in policy


def test_a_redirect_of_the_pod_leads_below_the_prefix(jupyter: Jupyter, proxy: GuiProxy, pod: RecordingPod) -> None:
    moved = plain(b"", b"Location: /there?x=1", status=b"302 Found")
    pod.script = lambda got: moved if "/a/b" in got.first else plain(got.first.encode())
    answer = jupyter.http.get(f"{jupyter.address(proxy)}a/b", timeout=PATIENCE_S)
    assert answer.url == f"{jupyter.address(proxy)}there?x=1"
    assert answer.text == "GET /there?x=1 HTTP/1.1"


def test_a_page_of_the_jupyter_server_may_ask_and_another_may_not(
    jupyter: Jupyter, proxy: GuiProxy, pod: RecordingPod
) -> None:
    for origin, status in ((jupyter.origin, 200), ("https://evil.example", 403), ("null", 403)):
        answer = jupyter.http.get(jupyter.address(proxy), headers={"Origin": origin}, timeout=PATIENCE_S)
        assert answer.status_code == status
    assert len(pod.got) == 1


def test_uploads_sockets_and_user_files_pass(
    jupyter: Jupyter, engine_port: int, proxy_to: Callable[..., GuiProxy]
) -> None:
    proxy = proxy_to(engine_port)
    client = Client(jupyter.address(proxy).rstrip("/"))
    client.http = jupyter.http
    data = os.urandom(1_000_000)
    assert client.upload("a.bin", data).json()["name"] == "a.bin"
    assert client.request("GET", "/api/view?filename=a.bin&type=input").content == data
    saved = client.request("POST", "/api/userdata/workflows%2Fdeep%2Fa.json", data=b"{}")
    assert (saved.status_code, saved.json()) == (200, "workflows/deep/a.json")

    url = f"{jupyter.address(proxy)}ws?clientId=a".replace("http", "ws", 1)
    cookie = "; ".join(f"{one.name}={one.value}" for one in jupyter.http.cookies)
    line = websocket.create_connection(url, timeout=PATIENCE_S, cookie=cookie, origin=jupyter.origin)
    try:
        assert '"sid": "a"' in line.recv()
    finally:
        line.shutdown()  # type: ignore[no-untyped-call] # the library ships no types
