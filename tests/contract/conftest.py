"""The engines that the contract is tested on: the built-in one, and a real ComfyUI if `AUTOPOD_COMFYUI_URL` is set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import pytest

from tests.contract.material import MATERIAL, Graph, fresh, picture
from tests.localpod.comfy_harness import Client, EngineThread, Listener

REAL_URL = os.environ.get("AUTOPOD_COMFYUI_URL", "").rstrip("/")


@pytest.fixture(scope="session", params=["built-in", *(["real"] if REAL_URL else [])])
def engine_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "real":
        yield REAL_URL
        return
    with EngineThread(tmp_path_factory.mktemp("engine")) as engine:
        yield engine.url


@pytest.fixture
def client(engine_url: str) -> Iterator[Client]:
    client = Client(engine_url)
    yield client
    client.close()


@pytest.fixture
def listener(client: Client) -> Iterator[Listener]:
    with client.listening() as listener:
        yield listener


@pytest.fixture
def workflow(client: Client) -> Callable[[str], Graph]:
    """Return a workflow by name; what it reads is uploaded before."""

    def load(name: str) -> Graph:
        answer = client.upload("start_image.png", picture(), overwrite="true")
        assert answer.json()["name"] == "start_image.png"
        graph: Graph = json.loads((MATERIAL / "workflows" / f"{name}.json").read_text(encoding="utf-8"))
        return graph

    return load


@pytest.fixture
def long_job(workflow: Callable[[str], Graph]) -> Graph:
    """A job of about a second on either engine, never cached; its node 2 alone takes most of that."""
    graph = workflow("slow_progress")
    graph["1"]["inputs"] |= {"width": 1024, "height": 1024}
    graph["2"]["inputs"]["seed"] = fresh()
    return graph
