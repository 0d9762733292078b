"""A pod with a ComfyUI that the user has; here a stand-in, in `test_real_comfyui` a real one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.localpod import stand_in_main
from tests.ssh.live_pod import LivePod, have_ended, processes_of, start_pod

_WAIT_S = 20.0


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's ComfyUI."""
    folder = tmp_path / "my ComfyUI"
    folder.mkdir()
    shutil.copy(stand_in_main.__file__, folder / "main.py")
    return folder


@pytest.fixture
def new_pod(tmp_path: Path, home: Path, own: Path) -> Iterator[Callable[..., LivePod]]:
    started: list[LivePod] = []

    def start(how: str, *arguments: str) -> LivePod:
        options = ["--comfyui-dir", str(own), "--env", f"STAND_IN={how}", *arguments]
        started.append(start_pod(home, tmp_path / "pod", *options))
        return started[-1]

    yield start
    for pod in started:
        pod.end()
    assert have_ended(processes_of(home))


def wait(true: Callable[[], bool]) -> None:
    pause, until = threading.Event(), time.monotonic() + _WAIT_S
    while not true():
        assert time.monotonic() < until
        pause.wait(0.02)


def until_up(pod: LivePod) -> None:
    wait(lambda: "ComfyUI answers, " in (pod.folder / "pod.log").read_text())


def seen(pod: LivePod) -> dict[str, Any]:
    until_up(pod)
    found: dict[str, Any] = json.loads((pod.folder / "ComfyUI" / "user" / "seen.json").read_text())
    return found


def kill_comfyui(home: Path, own: Path) -> None:
    program = os.fsencode(own / "main.py")
    (pid,) = (pid for pid in processes_of(home) if program in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
    os.kill(pid, signal.SIGKILL)


def ended(folder: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A pod that ends by itself."""
    command = [sys.executable, "-m", "autopod_nb.localpod", "--dir", str(folder), "--parent", str(os.getpid())]
    command += ["--public-key", public_line(load_key(own_key_path(home))), *arguments]
    environ = {**os.environ, "AUTOPOD_HOME": str(home)}
    return subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S, check=False, env=environ)


def test_it_is_started_in_its_own_folder_and_keeps_to_the_pods(new_pod: Callable[..., LivePod], own: Path) -> None:
    (own / "custom_nodes" / "a_node").mkdir(parents=True)
    (own / "models" / "vae").mkdir(parents=True)
    pod = new_pod("")
    base, found = pod.folder / "ComfyUI", seen(pod)
    assert found["argv"] == [
        *(str(own / "main.py"), "--listen", "127.0.0.1", "--port", str(pod.facts["comfyui_port"])),
        *("--base-directory", str(base), "--database-url", f"sqlite:///{base / 'user' / 'comfyui.db'}"),
        *("--disable-auto-launch", "--extra-model-paths-config", str(base / "extra_model_paths.yaml"), "--cpu"),
    ]
    assert found["cwd"] == str(own)
    assert found["custom_nodes"] == ["a_node"]
    assert str(own / "models" / "vae") in json.loads(found["models"])["autopod"].values()
    assert sorted(path.name for path in own.iterdir()) == ["custom_nodes", "main.py", "models"], "nothing is added"


def test_it_gets_the_users_and_the_pods_variables_but_not_the_kernels(
    new_pod: Callable[..., LivePod], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("HF_HUB_CACHE", "/models")
    found = seen(new_pod("", "--gpu", "A40", "--env", "MINE=1"))["environ"]
    assert "MPLBACKEND" not in found
    assert (found["HF_HUB_CACHE"], found["HOME"], found["PATH"]) == ("/models", os.environ["HOME"], os.environ["PATH"])
    assert (found["AUTOPOD_GPU"], found["MINE"]) == ("A40", "1")


def test_it_answers_for_itself_and_its_log_is_the_one_that_is_named(new_pod: Callable[..., LivePod]) -> None:
    pod = new_pod("")
    until_up(pod)
    with urlopen(f"http://127.0.0.1:{pod.facts['comfyui_port']}/system_stats") as answer:
        assert json.load(answer)["system"]["comfyui_version"] == "stand-in"
    log = Path(pod.facts["comfyui_log"])
    assert log == pod.folder / "ComfyUI" / "comfyui.log"
    assert log.read_text() == "printed\n", "at once, although it is no terminal"


def test_own_arguments_replace_the_choice_of_the_cpu(new_pod: Callable[..., LivePod]) -> None:
    argv = seen(new_pod("", "--comfyui-args=--preview-method 'a b'"))["argv"]
    assert argv[-2:] == ["--preview-method", "a b"]
    assert "--cpu" not in argv


def test_the_python_that_is_named_runs_it(new_pod: Callable[..., LivePod], tmp_path: Path) -> None:
    python = tmp_path / "my python"
    python.write_text(f'#!/bin/sh\nVIA=mine exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert seen(new_pod("", "--comfyui-python", str(python)))["environ"]["VIA"] == "mine"


def test_a_pod_whose_comfyui_still_loads_is_up_and_ends_with_it(
    new_pod: Callable[..., LivePod], home: Path, own: Path
) -> None:
    """Whether ComfyUI answers is for the client to wait; if it ends instead, there is nothing to wait for."""
    pod = new_pod("never answers")
    connection = pod.connect()
    assert connection.run("echo here", _WAIT_S).stdout == b"here\n"
    connection.close()
    kill_comfyui(home, own)
    assert pod.process.wait(_WAIT_S) == 1
    assert "ComfyUI did not start: printed (ended by SIGKILL; " in (pod.folder / "pod.log").read_text()
    assert not (pod.folder / "pod.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_pod_whatever_it_started(
    new_pod: Callable[..., LivePod], home: Path, number: signal.Signals
) -> None:
    pod = new_pod("leaves its group")
    until_up(pod)
    everything = processes_of(home)
    assert len(everything) == 4, "pod, guard, ComfyUI and what that started"
    pod.process.send_signal(number)
    pod.process.wait(_WAIT_S)
    assert have_ended(everything)
    assert processes_of(home) == set()


def test_a_pod_whose_guard_is_killed_ends(new_pod: Callable[..., LivePod], home: Path) -> None:
    """Nobody would end its children if it was killed itself."""
    pod = new_pod("")
    everything = processes_of(home)
    guards = {pid for pid in everything if b"guard_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}
    for pid in guards:
        os.kill(pid, signal.SIGKILL)
    assert pod.process.wait(_WAIT_S) == 0
    assert have_ended(everything - guards)
    assert "its guard is gone" in (pod.folder / "pod.log").read_text()


def test_one_that_ends_after_it_was_up_leaves_the_pod(new_pod: Callable[..., LivePod], home: Path, own: Path) -> None:
    """Its files may be wanted."""
    pod = new_pod("")
    until_up(pod)
    kill_comfyui(home, own)
    wait(lambda: "it is not started again" in (pod.folder / "pod.log").read_text())
    connection = pod.connect()
    assert connection.run("ls ComfyUI/user", _WAIT_S).stdout == b"seen.json\n"
    connection.close()


@pytest.mark.parametrize(
    ("how", "words", "status"),
    [
        ("fails", "ModuleNotFoundError: No module named 'torch'", "with status 1"),
        ("is killed", "printed", "by SIGKILL"),
        ("says nothing", "printed", "with status 3"),
    ],
)
def test_one_that_ends_before_it_answers_ends_the_pod_and_one_line_says_why(
    tmp_path: Path, home: Path, own: Path, *, how: str, words: str, status: str
) -> None:
    folder = tmp_path / "pod"
    (folder / "ComfyUI").mkdir(parents=True)
    log = folder / "ComfyUI" / "comfyui.log"
    log.write_text("RuntimeError: of an earlier start\n")
    found = ended(folder, home, "--comfyui-dir", str(own), "--env", f"STAND_IN={how}")
    line = f"ComfyUI did not start: {words} (ended {status}; in {own} with {sys.executable}; see {log})"
    assert found.returncode == 1
    assert found.stderr == f"localpod: {line}\n"
    assert found.stdout == "", "nobody was told to connect"
    assert (folder / "pod.log").read_text().partition(" ")[2].partition(" ")[2] == f"ERROR   __main__: {line}\n"
    assert not (folder / "pod.json").exists()
    assert have_ended(processes_of(home))


def test_a_flag_that_it_does_not_know_is_named(tmp_path: Path, home: Path, own: Path) -> None:
    found = ended(tmp_path / "pod", home, "--comfyui-dir", str(own), "--comfyui-args=--magic")
    assert found.returncode == 1
    assert "did not start: main.py: error: unrecognized arguments: --magic (ended with status 2;" in found.stderr


def test_a_python_that_is_no_program_is_named(tmp_path: Path, home: Path, own: Path) -> None:
    python = tmp_path / "python"
    python.write_bytes(b"\x7fELF, for another machine")
    python.chmod(0o755)
    found = ended(tmp_path / "pod", home, "--comfyui-dir", str(own), "--comfyui-python", str(python))
    assert found.returncode == 1
    assert found.stderr.startswith("localpod: ComfyUI did not start: ")
    assert f"(in {own} with {python})" in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--comfyui-dir", "{tmp}"], 1, "localpod: {tmp} is not a ComfyUI: there is no main.py in it.\n"),
        (
            ["--comfyui-dir", "{own}", "--comfyui-python", "{own}/main.py"],
            1,
            "localpod: {own}/main.py cannot run the ComfyUI in {own}: it is not an executable Python.\n",
        ),
        (["--comfyui-dir", "{own}", "--comfyui-args='"], 2, 'argument --comfyui-args: "\'" cannot be taken apart'),
        (["--comfyui-dir", "{own}", "--comfyui-port", "1"], 2, "not allowed with argument --comfyui-dir"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_started(
    tmp_path: Path, home: Path, own: Path, *, arguments: list[str], status: int, says: str
) -> None:
    found = ended(tmp_path / "pod", home, *(each.format(tmp=tmp_path, own=own) for each in arguments))
    assert found.returncode == status
    assert says.format(tmp=tmp_path, own=own) in found.stderr
    assert not (tmp_path / "pod" / "host_key").exists()
