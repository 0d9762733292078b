from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.ssh.live_pod import LivePod, have_ended, processes_of, start_pod

_WAIT_S = 20
_NO_ENGINE = ("--comfyui-port", "9")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def new_pod(tmp_path: Path, home: Path) -> Iterator[Callable[..., LivePod]]:
    """Starts pods in the same folder; nothing of them may be left when the test ends."""
    started: list[LivePod] = []
    folder = tmp_path / "pod"

    def start(*arguments: str) -> LivePod:
        started.append(start_pod(home, folder, *arguments))
        return started[-1]

    yield start
    for pod in started:
        pod.end()
    assert have_ended(processes_of(home))


def _leave_something_running(pod: LivePod) -> None:
    """A command with an open channel would end with it; these have left their channel, one also its group."""
    connection = pod.connect()
    connection.run("sleep 999 >/dev/null 2>&1 & setsid sleep 999 >/dev/null 2>&1 &", _WAIT_S)
    connection.close()


def test_a_pod_describes_itself_when_it_is_up(new_pod: Callable[..., LivePod]) -> None:
    pod = new_pod("--name", "ap-1", "--gpu", "RTX 4090", "--gpu-count", "2", "--vram-gb", "24")
    facts = json.loads((pod.folder / "pod.json").read_text())
    assert facts == pod.facts
    assert (facts["name"], facts["gpu"], facts["gpu_count"], facts["pid"]) == ("ap-1", "RTX 4090", 2, pod.process.pid)
    assert facts["comfyui_dir"] == str(pod.folder / "ComfyUI")
    with urlopen(f"http://127.0.0.1:{facts['comfyui_port']}/system_stats") as answer:
        device = json.load(answer)["devices"][0]
    assert "RTX 4090" in device["name"]
    assert device["vram_total"] == 24_000_000_000
    with urlopen(f"http://127.0.0.1:{facts['comfyui_port']}/models/vae") as answer:
        assert "wan_2.1_vae.safetensors" in json.load(answer), "a GPU has models, simulated ones"
    assert "To see the page of this engine" in Path(facts["comfyui_log"]).read_text()


def test_the_pods_variables_are_written_as_proc_shows_them(new_pod: Callable[..., LivePod]) -> None:
    pod = new_pod("--env", "A=b=c", "--env", "TWO=1\n2", "--env", "NONE=", "--gpu", "A40", *_NO_ENGINE)
    path = Path(pod.facts["environ_path"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    entries = path.read_bytes().split(b"\0")
    assert entries.pop() == b"", "each entry ends in NUL"
    variables = dict(entry.split(b"=", 1) for entry in entries)
    assert variables.pop(b"PUBLIC_KEY").startswith(b"ssh-ed25519 ")
    assert variables.pop(b"AUTOPOD_COMFYUI_DIR").decode() == pod.facts["comfyui_dir"]
    assert variables.pop(b"AUTOPOD_COMFYUI_PORT").decode() == str(pod.facts["comfyui_port"])
    assert variables == {
        b"AUTOPOD_POD_NAME": b"localpod",
        b"AUTOPOD_GPU": b"A40",
        b"AUTOPOD_GPU_COUNT": b"1",
        b"A": b"b=c",
        b"TWO": b"1\n2",
        b"NONE": b"",
    }


def test_a_pod_that_is_told_to_end_ends_with_everything(new_pod: Callable[..., LivePod], home: Path) -> None:
    pod = new_pod()
    _leave_something_running(pod)
    everything = processes_of(home)
    assert len(everything) >= 5, "pod, guard, engine and two commands"
    pod.process.terminate()
    assert pod.process.wait(_WAIT_S) == 0
    assert have_ended(everything)
    assert processes_of(home) == set()
    assert not (pod.folder / "pod.json").exists(), "there is nothing to connect to any more"


def test_a_pod_that_is_killed_leaves_nothing(new_pod: Callable[..., LivePod], home: Path) -> None:
    pod = new_pod()
    _leave_something_running(pod)
    connection = pod.connect()
    everything = processes_of(home)
    assert len(everything) >= 5
    pod.kill()
    assert have_ended(everything)
    assert processes_of(home) == set()
    connection.close()


def test_a_lease_that_ends_ends_the_pod(new_pod: Callable[..., LivePod], home: Path, tmp_path: Path) -> None:
    lease = tmp_path / "lease"
    lease.write_text("1")
    pod = new_pod("--lease", str(lease), "--lease-seconds", "1.5", *_NO_ENGINE)
    everything = processes_of(home)
    assert pod.process.wait(_WAIT_S) == 0
    assert have_ended(everything)
    assert "was not renewed" in (pod.folder / "pod.log").read_text()


def test_a_lease_that_ends_before_the_pod_is_up_ends_it_too(tmp_path: Path, home: Path) -> None:
    with pytest.raises(ChildProcessError, match=r"lease file .* is gone"):
        start_pod(home, tmp_path / "pod", "--lease", str(tmp_path / "no lease"))
    assert have_ended(processes_of(home))


def test_a_pod_ends_with_the_process_that_it_belongs_to(new_pod: Callable[..., LivePod]) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as owner:
        pod = new_pod("--parent", str(owner.pid), *_NO_ENGINE)
        owner.communicate()
    assert pod.process.wait(_WAIT_S) == 0


def test_a_comfyui_that_dies_stays_dead_and_the_pod_lives(new_pod: Callable[..., LivePod], home: Path) -> None:
    pod = new_pod()
    engines = {pid for pid in processes_of(home) if b"engine_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}
    assert len(engines) == 1
    for pid in engines:
        os.kill(pid, signal.SIGKILL)
    assert have_ended(engines)
    connection = pod.connect()
    assert connection.run("echo still here", _WAIT_S).stdout == b"still here\n"
    connection.close()
    assert (pod.folder / "pod.json").exists()
    with pytest.raises(OSError, match="refused"):
        urlopen(f"http://127.0.0.1:{pod.facts['comfyui_port']}/system_stats")


def test_a_pod_that_is_started_again_has_its_files_and_its_host_key(new_pod: Callable[..., LivePod]) -> None:
    first = new_pod(*_NO_ENGINE)
    (first.folder / "ComfyUI" / "output").mkdir(exist_ok=True)
    (first.folder / "ComfyUI" / "output" / "a.png").write_bytes(b"paid for")
    first.kill()
    assert (first.folder / "pod.json").exists()
    second = new_pod(*_NO_ENGINE)
    assert (second.folder / "ComfyUI" / "output" / "a.png").read_bytes() == b"paid for"
    assert second.facts["host_key_sha256"] == first.facts["host_key_sha256"]
    assert second.facts["started"] != first.facts["started"]


def _try(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autopod_nb.localpod", "--dir", str(folder), "--parent", str(os.getpid())]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=_WAIT_S, check=False)


def test_a_folder_holds_one_pod(new_pod: Callable[..., LivePod]) -> None:
    pod = new_pod(*_NO_ENGINE)
    second = _try(pod.folder, "--public-key", (pod.folder / "environ").read_text().split("\0")[0].split("=", 1)[1])
    assert second.returncode == 1
    assert second.stderr == f"localpod: a pod already runs in {pod.folder}\n"
    assert json.loads((pod.folder / "pod.json").read_text()) == pod.facts


def test_a_pod_that_cannot_come_up_says_why_and_is_not_described(tmp_path: Path) -> None:
    folder = tmp_path / "pod"
    folder.mkdir()
    (folder / "pod.json").write_text("{}")  # of an earlier life
    found = _try(folder, "--public-key", "ssh-ed25519 AAAA", *_NO_ENGINE)
    assert found.returncode == 1
    assert found.stderr.startswith("localpod: ")
    assert found.stderr.count("\n") == 1
    assert not (folder / "pod.json").exists()
    assert "Traceback" in (folder / "pod.log").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--public-key", "no file"], "cannot read the public key"),
        (["--public-key", "ssh-ed25519 A", "--env", "NOVALUE"], "is not NAME=VALUE"),
        (["--public-key", "ssh-ed25519 A", "--lease-seconds", "nan"], "not a number above zero"),
    ],
)
def test_a_bad_argument_is_named(tmp_path: Path, arguments: list[str], says: str) -> None:
    found = _try(tmp_path / "pod", *arguments)
    assert found.returncode == 2
    assert says in found.stderr
