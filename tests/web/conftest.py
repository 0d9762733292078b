"""Pods to stand behind the proxy, and proxies before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from autopod_nb.web.gui_proxy import GuiProxy
from tests.localpod.comfy_harness import Client, EngineThread
from tests.web.gui_pods import RecordingPod


@pytest.fixture
def pod() -> Iterator[RecordingPod]:
    """A pod that keeps what it gets."""
    pod = RecordingPod()
    yield pod
    pod.close()


@pytest.fixture
def proxy_to() -> Iterator[Callable[..., GuiProxy]]:
    """Makes proxies to a port, and closes them."""
    with ExitStack() as stack:

        def make(port: int, **options: object) -> GuiProxy:
            proxy = GuiProxy(port, **options)  # type: ignore[arg-type] # each test gives what fits
            stack.callback(proxy.close)
            return proxy

        yield make


@pytest.fixture
def proxy(pod: RecordingPod, proxy_to: Callable[..., GuiProxy]) -> GuiProxy:
    """A proxy before the pod that keeps what it gets."""
    return proxy_to(pod.port, max_upload_bytes=10 << 20)


@pytest.fixture(scope="module")
def engine_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the built-in engine listens, for the tests of a module."""
    with EngineThread(tmp_path_factory.mktemp("engine")) as engine:
        port = urlsplit(engine.url).port
        assert port is not None
        yield port


@pytest.fixture
def client(engine_port: int, proxy_to: Callable[..., GuiProxy]) -> Iterator[Client]:
    """What a client of ComfyUI's API does, through the proxy."""
    proxy = proxy_to(engine_port)
    client = Client(f"http://127.0.0.1:{proxy.port}{proxy.prefix.rstrip('/')}")
    yield client
    client.close()
