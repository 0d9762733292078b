"""What `doctor` tells of the environment, and how it says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from autopod_nb.magics.doctor import environment
from autopod_nb.session.build import current_session
from tests.magics.cells import worth
from tests.magics.kernel import start_kernel

ME = {"JPY_PARENT_PID": str(os.getpid())}


def level(env: dict[str, str], topic: str) -> str:
    return next(check.level.value for check in environment(env) if check.topic == topic)


def test_every_line_is_ok_a_warning_or_a_problem_and_no_session_is_opened(shell: InteractiveShell) -> None:
    found = worth(shell, "%autopod doctor")
    lines = str(found).splitlines()
    assert {line.split()[0] for line in lines[1:-1]} <= {"ok", "warning", "problem"}
    assert "Python" in lines[1]
    assert lines[-1] == "All is well." or lines[-1].startswith("To look at: ")
    assert "<table" in found._repr_html_()  # type: ignore[attr-defined]  # a Page
    topics = [row["topic"] for row in json.loads(str(worth(shell, "%autopod doctor --json")))]
    assert topics[:5] == ["Python", "Kernel", "Widgets in the kernel", "Widgets in the page", "Server proxy"]
    assert topics[5:] == ["Settings", "Ledger", "SSH key", "Provider", "Pods", "Reaper", "Local pods"]
    assert current_session() is None


def test_the_servers_environment_is_found_by_its_process() -> None:
    """This test is the server here: its environment has both the widget manager and the proxy."""
    findings = {check.topic: check.finding for check in environment(ME)}
    assert sys.prefix in findings["Widgets in the page"]
    assert sys.prefix in findings["Server proxy"]
    assert level(ME, "Widgets in the page") == "ok"
    assert level(ME, "Server proxy") == "ok"


def test_other_front_ends_bring_their_own() -> None:
    findings = {check.topic: check.finding for check in environment({"COLAB_RELEASE_TAG": "x"})}
    assert findings["Widgets in the page"] == "Colab brings its own"


def test_an_environment_without_them_is_named_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose Python lies in an environment of its own, where nothing is installed."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # where this process looks for what everybody shares
    code = "print('here', flush=True); __import__('sys').stdin.read()"
    with subprocess.Popen([str(python), "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        found = {check.topic: check for check in environment({"JPY_PARENT_PID": str(server.pid)})}
    assert found["Server proxy"].level.value == "warning"
    assert found["Server proxy"].fix.startswith(f"`{tmp_path}/bin/python -m pip install jupyter-server-proxy`")
    assert str(tmp_path) in found["Widgets in the page"].finding


def test_in_a_kernel_its_version_is_said(tmp_path: Path) -> None:
    with start_kernel(tmp_path) as kernel:
        kernel.run("%load_ext autopod_nb")
        text = kernel.run("%autopod doctor").result["text/plain"]
    assert "ipykernel 7" in text
    assert "ipywidgets 8" in text
