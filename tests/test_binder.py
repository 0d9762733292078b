"""What mybinder.org makes of a clone: its environment opens the quickstart, and the quickstart makes its video.

The environment is built by the commands of repo2docker, in a copy of the clone; hub and container are left out.
"""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
import pytest
import websocket

from tests.browser.lab import Lab

_TOML = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")  # pytest brings the latter
ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = "notebooks/01-quickstart.ipynb"
BASE_URL = "/user/joe/"  # as a hub has it
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "demo-output", "__pycache__", ".*_cache", ".hypothesis")
_BUILD_S = 800
_CELL_S = 120.0
pytestmark = pytest.mark.timeout(_BUILD_S + 100)


class Kernel:
    """The kernel of a notebook, through the server, as the browser has it.

    Args:
        lab: the server.
        path: of the notebook, below the server's root.
    """

    def __init__(self, lab: Lab, path: str) -> None:
        wanted = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        kernel_id = lab.api("POST", "api/sessions", json=wanted).json()["kernel"]["id"]
        self._line = connect(lab, f"api/kernels/{kernel_id}/channels")

    def run(self, code: str) -> str:
        """Run a cell to its end. Returns its texts; an error fails the test."""
        asked = uuid.uuid4().hex
        header = {"msg_id": asked, "msg_type": "execute_request", "session": asked, "username": "", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._line.send(json.dumps(message))
        texts: list[str] = []
        over = {"idle": False, "reply": False}
        while not all(over.values()):
            frame = self._line.recv()
            if not isinstance(frame, str):  # a widget's picture
                continue
            told = json.loads(frame)
            if told["parent_header"].get("msg_id") == asked:
                _take(told["msg_type"], told["content"], texts, over)
        return "".join(texts)

    def close(self) -> None:
        self._line.close()


def _take(kind: str, content: dict[str, Any], texts: list[str], over: dict[str, bool]) -> None:
    assert kind != "error", "\n".join(content["traceback"])
    if kind == "stream":
        texts.append(content["text"])
    elif kind in ("display_data", "execute_result", "update_display_data"):
        texts.append(content["data"].get("text/plain", ""))
    elif kind == "execute_reply":
        assert content["status"] == "ok", content
        over["reply"] = True
    elif kind == "status":
        over["idle"] = content["execution_state"] == "idle"


def connect(lab: Lab, path: str) -> Any:
    """A WebSocket to the server; *path* is below the base URL."""
    address = f"ws://{urlsplit(lab.url).netloc}{BASE_URL}{path}"
    login = [f"Authorization: token {lab.token}"]
    return websocket.create_connection(address, timeout=_CELL_S, header=login, http_no_proxy=["127.0.0.1"])


def lines(name: str) -> list[str]:
    return (ROOT / "binder" / name).read_text().split()


def test_it_asks_for_a_python_that_the_project_runs_on() -> None:
    """repo2docker has had 3.7 as its own choice for years."""
    project = _TOML.loads((ROOT / "pyproject.toml").read_text())["project"]
    (runtime,) = lines("runtime.txt")
    version = runtime.removeprefix("python-")
    assert f"Programming Language :: Python :: {version}" in project["classifiers"]
    assert {path.name for path in (ROOT / "binder").iterdir()} == {"requirements.txt", "runtime.txt"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("binder") / "clone"
    shutil.copytree(ROOT, folder, ignore=_NOT_COPIED)
    return folder


@pytest.fixture(scope="module")
def python(clone: Path) -> Path:
    """A new environment, built in the clone as repo2docker does."""
    environment = clone.parent / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=_BUILD_S)
    python = environment / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "-q", "--no-cache-dir", "-r", "binder/requirements.txt"]
    subprocess.run(install, cwd=clone, check=True, timeout=_BUILD_S)
    return python


@pytest.fixture(scope="module")
def lab(clone: Path, python: Path) -> Iterator[Lab]:
    environ = {"JUPYTERHUB_SERVICE_PREFIX": BASE_URL}
    lab = Lab(clone.parent / "lab", BASE_URL, python=python, root=clone, environ=environ)
    yield lab
    lab.shut_down(NOTEBOOK)
    lab.close()


@pytest.mark.slow
def test_its_environment_is_whole_and_brings_what_the_panels_need(lab: Lab, python: Path) -> None:
    checked = subprocess.run([str(python), "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    page = lab.api("GET", f"lab/tree/{NOTEBOOK}").text  # what a link to the notebook opens
    found = re.search(r'<script id="jupyter-config-data" type="application/json">(.+?)</script>', page, re.DOTALL)
    assert found
    extensions = {each["name"] for each in json.loads(found[1])["federated_extensions"]}
    assert {"@jupyter-widgets/jupyterlab-manager", "anywidget", "jupyterlab-plotly"} <= extensions


@pytest.mark.slow
def test_the_quickstart_makes_its_video_and_comfyui_is_reached_below_the_prefix(lab: Lab, clone: Path) -> None:
    notebook = nbformat.read(clone / NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call] # it has no types
    said = {}
    kernel = Kernel(lab, NOTEBOOK)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            said[cell.id] = kernel.run(cell.source)
        if cell.id == "wait":
            see_comfyui(lab, kernel.run("%autopod gui"))
    kernel.close()
    assert (clone / "demo-output" / "portrait.mp4").stat().st_size > 10_000
    assert re.search(r"cost: +0\.\d+ USD \(simulated\)", said["handle"])
    assert "terminated" in said["gone"] or "Gone" in said["gone"]


def see_comfyui(lab: Lab, said: str) -> None:
    """Go where the text says, by jupyter-server-proxy: the page is there, and its WebSocket speaks."""
    found = re.search(rf"through the Jupyter server: {BASE_URL}(proxy/\d+/)", said)
    assert found, said
    page = lab.api("GET", found[1])
    assert page.ok
    assert "ComfyUI" in page.text
    socket = connect(lab, f"{found[1]}ws?clientId=test-binder")
    assert json.loads(socket.recv())["type"] == "status"
    socket.close()
