"""The service as a program, and its pods as real ones: SSH logins, disks, and ends that leave nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import SshError
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.fakes.orders import act, create, read, running
from tests.fakes.service import RunpodService
from tests.leftovers import left_of, processes_of

_RUN_S = 10.0
_GONE_S = 15.0


@pytest.fixture(scope="module")
def key_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return own_key_path(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def live_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunpodService]:
    folder = tmp_path_factory.mktemp("live")
    (folder / "clock").write_text("0")
    with RunpodService(folder / "service", clock_file=folder / "clock") as service:
        yield service


@pytest.fixture
def live(live_service: RunpodService) -> RunpodService:
    live_service.reset()
    return live_service


def _env(key_path: Path, **more: str) -> dict[str, str]:
    return {"PUBLIC_KEY": public_line(load_key(key_path)), **more}


def _up(service: RunpodService, key_path: Path, name: str = "pod", **changes: object) -> dict[str, Any]:
    """A pod that can be logged in to, as the API shows it."""
    env = _env(key_path, **changes.pop("env", {}))  # type: ignore[arg-type] # variables of a test
    pod = create(service, name, env=env, **changes)
    service.wait_for_ssh(pod["id"])
    service.advance(3)
    return read(service, pod["id"])


def _login(service: RunpodService, pod: dict[str, Any], key_path: Path) -> SshConnection:
    direct, pin = pod["ssh"]["direct"], HostKeyPin(service.pod(pod["id"])["host_key_sha256"])
    target = SshTarget(host=direct["host"], port=direct["port"], user=direct["username"], pin=pin)
    return connect(target, load_key(key_path), clock=SystemClock(), timeout_s=_RUN_S)


def _run(service: RunpodService, pod: dict[str, Any], key_path: Path, command: str) -> str:
    connection = _login(service, pod, key_path)
    try:
        return connection.run(command, timeout_s=_RUN_S).stdout.decode()
    finally:
        connection.close()


def _again(service: RunpodService, pod_id: str) -> dict[str, Any]:
    """Start a stopped pod and wait until it can be logged in to; the old port is read away."""
    assert act(service, pod_id, "start") == 200
    service.wait_for_ssh(pod_id)
    service.advance(3)
    read(service, pod_id)
    return read(service, pod_id)


def test_a_pod_can_be_logged_in_to_and_has_the_platforms_variables(live: RunpodService, key_path: Path) -> None:
    """4.4, 4.5."""
    pod = _up(live, key_path, env={"GREETING": "good day"})
    variables = dict(
        line.split("=", 1)
        for line in _run(live, pod, key_path, "tr '\\0' '\\n' < ~/environ").splitlines()
        if "=" in line
    )
    assert variables["GREETING"] == "good day"
    assert variables["RUNPOD_POD_ID"] == pod["id"]
    assert variables["RUNPOD_TCP_PORT_22"] == str(pod["ssh"]["direct"]["port"])
    assert (variables["RUNPOD_PUBLIC_IP"], variables["RUNPOD_GPU_COUNT"]) == ("127.0.0.1", "1")
    assert variables["RUNPOD_DC_ID"] == pod["dataCenterId"]
    assert variables["RUNPOD_API_BASE_URL"] == live.url
    seen = live.request("GET", f"/v2/pods/{pod['id']}", key=variables["RUNPOD_API_KEY"])
    assert seen.json()["id"] == pod["id"], "its own key may read it"


def test_the_log_has_the_fingerprint_that_the_server_shows(live: RunpodService, key_path: Path) -> None:
    """4.4; the login above it is pinned to the same one."""
    pod = _up(live, key_path)
    with live.request("GET", f"/v2/pods/{pod['id']}/logs?source=container", stream=True) as response:
        lines = response.iter_lines(chunk_size=1, decode_unicode=True)
        line = next(line for line in lines if "SHA256:" in line)
    assert live.pod(pod["id"])["host_key_sha256"] in line
    assert _run(live, pod, key_path, "echo in") == "in\n"


def test_a_stop_wipes_the_disk_keeps_the_mount_and_changes_port_and_host_key(
    live: RunpodService, key_path: Path
) -> None:
    """4.3, 4.4, 4.8."""
    pod = _up(live, key_path)
    _run(live, pod, key_path, "echo kept > ComfyUI/kept; echo lost > lost")
    before, old = live.pod(pod["id"]), pod["ssh"]["direct"]["port"]
    assert act(live, pod["id"], "stop") == 200
    pod = _again(live, pod["id"])
    assert pod["ssh"]["direct"]["port"] != old
    assert live.pod(pod["id"])["host_key_sha256"] != before["host_key_sha256"]
    assert _run(live, pod, key_path, "cat ComfyUI/kept; ls lost || echo gone") == "kept\ngone\n"


def test_a_terminated_pod_leaves_no_process_and_no_file(live: RunpodService, key_path: Path) -> None:
    pod = _up(live, key_path)
    folder = Path(live.pod(pod["id"])["folder"])
    assert folder.exists()
    before = processes_of(live.folder) - {live.pid}
    assert before
    assert live.request("DELETE", f"/v2/pods/{pod['id']}").status_code == 204
    deadline, pause = Deadline(SystemClock(), _GONE_S), threading.Event()
    while (processes_of(live.folder) & before or folder.exists()) and not deadline.passed:
        pause.wait(0.05)
    assert not processes_of(live.folder) & before
    assert not folder.exists()
    with pytest.raises(OSError, match="efused"):
        _connect(pod["ssh"]["direct"]["port"])


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_network_volume_outlives_its_pod(live: RunpodService, key_path: Path) -> None:
    """4.9."""
    wish = {"name": "v", "size": 10, "dataCenter": "EU-RO-1"}
    volume = live.request("POST", "/v2/network-volumes", json=wish).json()
    mounts = {"network": [{"volumeId": volume["id"], "path": "/workspace"}]}
    first = _up(live, key_path, "first", cloud="SECURE", mounts=mounts)
    _run(live, first, key_path, "echo model > ComfyUI/model")
    live.request("DELETE", f"/v2/pods/{first['id']}")
    second = _up(live, key_path, "second", cloud="SECURE", mounts=mounts)
    assert _run(live, second, key_path, "cat ComfyUI/model") == "model\n"


def test_an_image_without_comfyui_has_ssh_and_nothing_behind_it(live: RunpodService, key_path: Path) -> None:
    """4.10."""
    plain = _up(live, key_path, image="runpod/pytorch:latest")
    assert _run(live, plain, key_path, "ls ComfyUI") == ""
    full = _up(live, key_path)
    assert "output" in _run(live, full, key_path, "ls ComfyUI")


def test_the_mapping_is_there_before_the_server_and_connections_are_dropped(
    live: RunpodService, key_path: Path
) -> None:
    """4.4."""
    live.set(pull_delay_s=0.0)
    pod = create(live, env=_env(key_path))
    port = pod["ssh"]["direct"]["port"]
    _connect(port)
    live.wait_for_ssh(pod["id"])
    assert _run(live, pod, key_path, "echo in") == "in\n"


def test_a_port_that_changes_under_a_pod_leads_to_the_same_pod(live: RunpodService, key_path: Path) -> None:
    """4.3."""
    pod = _up(live, key_path)
    _run(live, pod, key_path, "echo here > mark")
    live.arm("port_change", pod=pod["id"])
    moved = read(live, pod["id"])
    assert moved["ssh"]["direct"]["port"] != pod["ssh"]["direct"]["port"]
    assert _run(live, moved, key_path, "cat mark") == "here\n"
    with pytest.raises(OSError, match="efused"):
        _connect(pod["ssh"]["direct"]["port"])


def test_without_a_key_of_ours_nobody_gets_in(live: RunpodService, key_path: Path) -> None:
    """4.4."""
    pod = create(live)
    live.wait_for_ssh(pod["id"])
    live.advance(3)
    with pytest.raises(SshError, match="refused the SSH key"):
        _login(live, read(live, pod["id"]), key_path)


# the program


def test_the_service_ends_with_its_parent_and_takes_its_pods_with_it(tmp_path: Path) -> None:
    """A parent that is killed cannot say goodbye."""
    script = (
        "import sys\nfrom pathlib import Path\nfrom tests.fakes.orders import create\n"
        "from tests.fakes.service import RunpodService\n"
        "service = RunpodService(Path(sys.argv[1]))\npod = create(service)\nservice.wait_for_ssh(pod['id'])\n"
        "print('up', flush=True)\nsys.stdin.read()\n"
    )
    folder = tmp_path / "service"
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(
        command, cwd=Path(__file__).parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_bare()
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"up\n"
        assert len(processes_of(folder)) >= 2
        parent.kill()
        parent.wait(_GONE_S)
    assert left_of(folder, _GONE_S) == set()


def test_pods_end_with_a_service_that_is_killed(tmp_path: Path) -> None:
    with RunpodService(tmp_path / "service") as service:
        pod = create(service)
        service.wait_for_ssh(pod["id"])
        assert len(processes_of(service.folder)) >= 2
        service.kill()
        assert left_of(service.folder, _GONE_S) == set()


def _bare() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("AUTOPOD_", "RUNPOD_"))}


def test_two_variables_point_a_program_at_it(tmp_path: Path) -> None:
    with RunpodService(tmp_path / "service", real_pods=False, pull_delay_s=0.0) as service:
        assert set(service.environ()) == {"RUNPOD_API_BASE_URL", "RUNPOD_API_KEY"}
        assert running_at_once(service)["status"] == "RUNNING"
        url = f"{service.environ()['RUNPOD_API_BASE_URL']}/v2/pods"
        headers = {"Authorization": f"Bearer {service.environ()['RUNPOD_API_KEY']}"}
        assert len(requests.get(url, headers=headers, timeout=_RUN_S).json()["pods"]) == 1


def running_at_once(service: RunpodService) -> dict[str, Any]:
    return read(service, create(service)["id"])


def test_a_service_that_cannot_start_says_so(tmp_path: Path) -> None:
    with pytest.raises(ChildProcessError, match="did not start"):
        RunpodService(tmp_path / "service", no_such_setting=1)


def test_a_pod_that_is_only_a_row_starts_nothing(tmp_path: Path) -> None:
    with RunpodService(tmp_path / "service", clock_file=_clock(tmp_path), real_pods=False) as service:
        running(service)
        assert processes_of(service.folder) == {service.pid}


def _clock(folder: Path) -> Path:
    (folder / "clock").write_text("0")
    return folder / "clock"
