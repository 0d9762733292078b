"""The net under all tests, in runs of their own: each rule of ``conftest.py`` is shown to bite."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_LEAKS = """
import subprocess, sys, threading
import pytest

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(6)"]
START_AND_LEAVE = "import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(6)'])"
kept = []

def start(name, seconds, daemon):
    threading.Thread(target=threading.Event().wait, args=(seconds,), name=name, daemon=daemon).start()

def test_non_daemon(): start("forgotten", 3, False)
def test_ours(): start("autopod-x", 60, True)
def test_foreign_daemon(): start("foreign", 60, True)
def test_straggler(): start("straggler", 0.1, False)
def test_child(): kept.append(subprocess.Popen(SLEEP))
def test_home(home): subprocess.run([sys.executable, "-S", "-c", START_AND_LEAVE], check=True)
"""
_MODULE = """
import threading, pytest

@pytest.fixture(scope="module")
def begin():
    return lambda: threading.Thread(target=threading.Event().wait, args=(3,), name="of-the-module").start()

def test_shared(begin): begin()
"""
_SKIPPED = """
import pytest
@pytest.mark.skip(reason="no chromium")
def test_it(): pass
@pytest.mark.slow
def test_that(): pass
def test_other(): pass
"""


_SHARED = ("-p", "xdist", "-n", "2")


def _run(folder: Path, modules: Mapping[str, str], *options: str, must_run_all: bool = False) -> tuple[int, str]:
    """Run made-up test modules with our conftest. Returns the exit status and what was printed."""
    for name, code in modules.items():
        (folder / f"test_{name}.py").write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = slow: takes long\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", *options, "."]
    environ = {
        **os.environ,
        "PYTHONPATH": str(_ROOT),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "AUTOPOD_TESTS_GRACE_S": "0.3",
        "AUTOPOD_TESTS_MUST_RUN_ALL": "1" if must_run_all else "",
    }
    run = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False)
    return run.returncode, run.stdout


def test_whoever_leaves_a_thread_or_a_process_fails_and_nobody_else(tmp_path: Path) -> None:
    status, text = _run(tmp_path, {"leaks": _LEAKS, "module": _MODULE}, "-rE")
    assert status == 1
    assert "left by the test: thread forgotten" in text
    assert "left by the test: thread autopod-x" in text
    assert "left by the test: process " in text
    assert "processes of " in text
    assert "left by the module: thread of-the-module" in text
    blamed = sorted(line.split("::")[1].split()[0] for line in text.splitlines() if line.startswith("ERROR "))
    assert blamed == ["test_child", "test_home", "test_non_daemon", "test_ours", "test_shared"], text


def test_one_line_names_what_was_left_out_and_only_a_skip_fails_where_all_must_run(tmp_path: Path) -> None:
    status, text = _run(tmp_path, {"skipped": _SKIPPED}, "-m", "not slow", must_run_all=True)
    assert status == 1
    assert "left out: 2 tests (no chromium: 1, slow: 1)\n" in text
    status, text = _run(tmp_path, {"skipped": _SKIPPED}, "-m", "not slow", *_SHARED, must_run_all=True)
    assert status == 1
    assert "left out: 2 tests (no chromium: 1, slow: 1)\n" in text
    status, text = _run(tmp_path, {"skipped": _SKIPPED})
    assert status == 0
    assert "left out: 1 test (no chromium: 1)\n" in text
    status, text = _run(tmp_path, {"skipped": _SKIPPED}, "-k", "other", must_run_all=True)
    assert status == 0
    assert "left out: 2 tests (not asked for: 2)\n" in text
