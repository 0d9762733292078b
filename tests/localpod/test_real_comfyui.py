"""A pod with the real ComfyUI of `AUTOPOD_COMFYUI_DIR`, run by `AUTOPOD_COMFYUI_PYTHON` if that is set."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.comfyui.client import ComfyClient
from autopod_nb.models.event import PromptOutcome, PromptResult
from autopod_nb.models.job import RemoteFile
from autopod_nb.ssh.tunnel import Tunnel
from tests.ssh.live_pod import LivePod, have_ended, processes_of, start_pod

FOLDER = os.environ.get("AUTOPOD_COMFYUI_DIR", "")
PYTHON = os.environ.get("AUTOPOD_COMFYUI_PYTHON", "")
BOOT_S, JOB_S = 180.0, 60.0
CLOCK = SystemClock()


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[LivePod]:
    options = ["--comfyui-dir", FOLDER, *(["--comfyui-python", PYTHON] if PYTHON else [])]
    pod = start_pod(tmp_path / "home", tmp_path / "pod", *options)
    yield pod
    pod.end()
    assert have_ended(processes_of(tmp_path / "home"))


def ended(client: ComfyClient, prompt_id: str) -> PromptResult:
    deadline = Deadline(CLOCK, JOB_S)
    while (found := client.history(prompt_id)) is None:
        assert not deadline.passed
        client.pause(0.1)
    return found


@pytest.mark.timeout(300)
def test_a_job_runs_on_it_through_the_pod_and_nothing_is_left_when_that_is_killed(pod: LivePod, tmp_path: Path) -> None:
    graph = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 255}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "real"}},
    }
    with ExitStack() as stack:
        connection = stack.enter_context(closing(pod.connect()))
        tunnel = stack.enter_context(closing(Tunnel(connection, pod.facts["comfyui_port"])))
        client = stack.enter_context(closing(ComfyClient(f"http://127.0.0.1:{tunnel.port}", clock=CLOCK)))
        info = client.wait_ready(Deadline(CLOCK, BOOT_S))
        assert info.pytorch not in {"", "none"}, "the built-in engine has none"
        assert "KSampler" in client.object_info()
        prompt_id = str(uuid.uuid4())
        client.submit(graph, prompt_id=prompt_id, client_id=str(uuid.uuid4()))
        result = ended(client, prompt_id)
        assert result.outcome is PromptOutcome.SUCCESS
        content = downloaded(client, result.files[0])
        assert content.startswith(b"\x89PNG")
        assert (pod.folder / "ComfyUI" / "output" / "real_00001_.png").read_bytes() == content
        assert "got prompt" in client.logs()
        assert "got prompt" in Path(pod.facts["comfyui_log"]).read_text()
        assert connection.run("ls ComfyUI/user/comfyui.db", JOB_S).exit_status == 0, "its data are the pod's"
        everything = processes_of(tmp_path / "home")
        pod.kill()
        assert have_ended(everything)


def downloaded(client: ComfyClient, remote: RemoteFile) -> bytes:
    with client.view(remote) as download:
        return b"".join(download)
