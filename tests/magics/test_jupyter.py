"""What a kernel can tell of its server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from autopod_nb.magics.jupyter import FrontEnd, base_url, front_end, server_pid

ME = {"JPY_PARENT_PID": str(os.getpid())}


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's runtime folder."""
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_path_is_that_of_the_server_which_started_this_kernel(runtime: Path) -> None:
    facts = {"base_url": "/user/joe/", "token": "hush", "pid": os.getpid()}
    (runtime / f"jpserver-{os.getpid()}.json").write_text(json.dumps(facts))
    assert base_url(ME) == "/user/joe/"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"base_url": "http://elsewhere/"}', '{"base_url": 5}'])
def test_a_file_that_says_nothing_useful_is_no_error(runtime: Path, text: str) -> None:
    (runtime / f"jpserver-{os.getpid()}.json").write_text(text)
    assert base_url(ME) is None


def test_a_hub_says_its_path_itself() -> None:
    assert base_url({"JUPYTERHUB_SERVICE_PREFIX": "/user/joe"}) == "/user/joe/"


@pytest.mark.parametrize("pid", ["", "x", "-1", "999999999"])
def test_a_server_that_is_not_there_is_unknown(runtime: Path, pid: str) -> None:
    assert server_pid({"JPY_PARENT_PID": pid}) is None
    assert base_url({"JPY_PARENT_PID": pid}) is None


def test_front_ends_are_told_by_their_variables() -> None:
    assert front_end({}) is FrontEnd.JUPYTER
    assert front_end({"COLAB_RELEASE_TAG": "release"}) is FrontEnd.COLAB
    assert front_end({"VSCODE_PID": "5"}) is FrontEnd.VSCODE
