"""A running engine, ways to harm the line to it, and a look at what a test leaves behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from autopod_nb.comfyui.client import ComfyClient
from tests.comfyui.servers import CLOCK, PATIENCE_S, EngineProcess, Script, ScriptedServer
from tests.fakes.relay import Relay


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), f"thread {thread.name} was left"


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """The engine for tests that leave it as it was, but for prompts that are over."""
    process = EngineProcess(tmp_path_factory.mktemp("engine"))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def own_engine(tmp_path: Path) -> Iterator[EngineProcess]:
    """An engine that a test may kill."""
    process = EngineProcess(tmp_path / "own engine")
    process.start()
    yield process
    process.kill()


@pytest.fixture
def connect() -> Iterator[Callable[..., ComfyClient]]:
    """Makes clients, and closes them."""
    with ExitStack() as stack:

        def make(url: str, timeout_s: float = PATIENCE_S) -> ComfyClient:
            client = ComfyClient(url, clock=CLOCK, timeout_s=timeout_s)
            stack.callback(client.close)
            return client

        yield make


@pytest.fixture
def serve() -> Iterator[Callable[[Script], ScriptedServer]]:
    """Makes scripted servers, and ends them."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(ScriptedServer(script))


@pytest.fixture
def relay_to() -> Iterator[Callable[[str], Relay]]:
    """Makes relays, and ends them."""
    with ExitStack() as stack:

        def make(url: str) -> Relay:
            return stack.enter_context(Relay(int(url.rpartition(":")[2])))

        yield make
