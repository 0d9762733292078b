"""``make demo``: what a newcomer sees first, and what is left when its Python is killed in the middle."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from tests.leftovers import command_of, left_of, processes_of

ROOT = Path(__file__).resolve().parent.parent
_DEMO_S = 100.0
_GONE_S = 30.0  # a pod's lease is 15 s
_LOOK_S = 0.1


@dataclass(frozen=True)
class Demo:
    """A finished run.

    Attributes:
        folder: a copy of what it needs, so that it leaves nothing in the checkout.
        home: its ``AUTOPOD_HOME``.
    """

    folder: Path
    home: Path
    status: int
    stdout: str
    stderr: str

    @property
    def page(self) -> str:
        return (self.folder / "demo-output" / "quickstart.html").read_text(encoding="utf-8")

    @property
    def video(self) -> Path:
        return self.folder / "demo-output" / "portrait.mp4"


def _environ(folder: Path) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AUTOPOD_")}
    return environ | {
        "AUTOPOD_HOME": str(folder / "home"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def running_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The demo in a copy of the checkout, ended at the latest with the block. Its home is ``folder/home``."""
    for name in ("notebooks", "jobs"):
        shutil.copytree(ROOT / name, folder / name)
    environ = _environ(folder)
    command = [sys.executable, str(folder / "notebooks" / "run_demo.py")]
    process = subprocess.Popen(
        command, cwd=folder, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
        for pid in processes_of(folder / "home"):  # only if the test has failed
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    with running_demo(folder) as process:
        stdout, stderr = process.communicate(timeout=_DEMO_S)
        assert not left_of(folder / "home", 5.0)
    return Demo(folder, folder / "home", process.returncode, stdout, stderr)


def test_the_demo_ends_well_and_says_where_the_video_lies_and_what_it_cost(demo: Demo) -> None:
    assert (demo.status, demo.stderr) == (0, "")
    assert demo.video.stat().st_size > 0
    assert "demo-output/portrait.mp4" in demo.stdout
    assert "demo-output/quickstart.html" in demo.stdout
    assert re.search(r"cost: +0\.00\d+ USD \(simulated\)", demo.stdout)


def test_the_page_shows_the_video_itself_and_calls_the_money_simulated(demo: Demo) -> None:
    videos = re.findall(r"data:video/mp4;base64,([A-Za-z0-9+/=]+)", demo.page)
    digest = hashlib.sha256(demo.video.read_bytes()).digest()
    assert digest in [hashlib.sha256(base64.b64decode(video)).digest() for video in videos]
    assert "simulated" in demo.page


def test_the_page_holds_no_widget_state_and_no_secret(demo: Demo) -> None:
    assert "application/vnd.jupyter.widget-state+json" not in demo.page
    key = (demo.home / "keys" / "id_ed25519").read_text().split("\n")
    secrets = [line for line in key if len(line) > 20 and "PRIVATE KEY" not in line]
    assert secrets
    for text in (demo.page, demo.stdout, (demo.home / "logs" / "autopod.log").read_text()):
        assert "PRIVATE KEY" not in text
        assert not any(secret in text for secret in secrets)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe: apt-get install ffmpeg")
def test_another_program_finds_a_video_that_every_browser_plays(demo: Demo) -> None:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(demo.video)]
    found = subprocess.run(command, capture_output=True, check=True, timeout=_DEMO_S)
    assert not found.stderr
    (stream,) = json.loads(found.stdout)["streams"]
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["width"], stream["height"]) == (512, 512)
    assert int(stream["nb_read_frames"]) == 24
    assert Fraction(stream["avg_frame_rate"]) == 12


def test_a_second_run_in_the_same_folder_ends_well_too(demo: Demo) -> None:
    """Its video is the same to the byte, so no second file is made of it."""
    before = demo.video.read_bytes()
    environ = _environ(demo.folder)
    command = [sys.executable, str(demo.folder / "notebooks" / "run_demo.py")]
    again = subprocess.run(
        command, cwd=demo.folder, env=environ, text=True, capture_output=True, timeout=_DEMO_S, check=False
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert "demo-output/portrait.mp4" in again.stdout
    assert demo.video.read_bytes() == before
    assert not left_of(demo.home, 5.0)


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("victim", ["ipykernel_launcher", "run_demo.py"])
def test_nothing_is_alive_30_seconds_after_the_python_of_the_notebook_was_killed(tmp_path: Path, victim: str) -> None:
    """kill -9 of the kernel, or of the program that runs the notebook, while a pod works."""
    home = tmp_path / "home"
    with running_demo(tmp_path) as process:
        _until_rendering(home, process)
        (pid,) = [pid for pid in processes_of(home) if victim in command_of(pid)]
        os.kill(pid, signal.SIGKILL)
        deadline = Deadline(SystemClock(), _GONE_S)
        process.communicate(timeout=_GONE_S)
        left = left_of(home, deadline.left_s())
        assert not left, [command_of(pid) for pid in left]


def _until_rendering(home: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a pod of the demo has its job's photograph."""
    deadline, pause = Deadline(SystemClock(), _DEMO_S), threading.Event()
    while not list(home.glob("pods/autopod-*/ComfyUI/input/autopod/*.jpg")):
        assert process.poll() is None, "the demo ended before its job began"
        assert not deadline.passed
        pause.wait(_LOOK_S)
