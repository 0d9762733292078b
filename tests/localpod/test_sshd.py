from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from autopod_nb.ssh.keys import load_key, own_key_path
from tests.ssh.live_pod import LivePod, have_ended, start_pod

_WAIT_S = 10


@pytest.fixture(scope="module")
def comfyui() -> Iterator[socket.socket]:
    """Stands in the place of ComfyUI."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_WAIT_S)
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory, home: Path, comfyui: socket.socket) -> Iterator[LivePod]:
    port = str(comfyui.getsockname()[1])
    pod = start_pod(home, tmp_path_factory.mktemp("pod"), "--comfyui-port", port, "--env", "SECRET=hush")
    yield pod
    pod.end()


def _reach(pod: LivePod) -> paramiko.Transport:
    transport = paramiko.Transport(("127.0.0.1", pod.facts["ssh_port"]))
    transport.start_client(timeout=_WAIT_S)
    return transport


@pytest.fixture
def transport(pod: LivePod) -> Iterator[paramiko.Transport]:
    transport = _reach(pod)
    transport.auth_publickey("root", load_key(pod.key_path))
    yield transport
    transport.close()


@pytest.fixture
def sftp(transport: paramiko.Transport) -> Iterator[paramiko.SFTPClient]:
    sftp = paramiko.SFTPClient.from_transport(transport)
    assert sftp is not None
    yield sftp
    sftp.close()


def _run(transport: paramiko.Transport, command: str) -> str:
    channel = transport.open_session(timeout=_WAIT_S)
    channel.exec_command(command)
    with channel.makefile("rb") as output:
        found = output.read().decode()
    channel.close()
    return found


def test_another_key_is_refused(pod: LivePod, tmp_path: Path) -> None:
    transport = _reach(pod)
    with pytest.raises(paramiko.AuthenticationException):
        transport.auth_publickey("root", load_key(own_key_path(tmp_path)))
    transport.close()


@pytest.mark.parametrize("way_in", ["password", "none"])
def test_only_keys_are_taken(pod: LivePod, way_in: str) -> None:
    transport = _reach(pod)
    try_it = {"password": lambda: transport.auth_password("root", "root"), "none": lambda: transport.auth_none("root")}
    with pytest.raises(paramiko.BadAuthenticationType) as caught:
        try_it[way_in]()
    assert caught.value.allowed_types == ["publickey"]
    transport.close()


def test_a_command_gets_a_bare_environment_and_begins_in_the_pods_folder(
    transport: paramiko.Transport, pod: LivePod, home: Path
) -> None:
    lines = dict(line.split("=", 1) for line in _run(transport, "env").splitlines())
    assert set(lines) - {"PWD", "OLDPWD", "SHLVL", "_"} == {"PATH", "HOME", "AUTOPOD_HOME", "AUTOPOD_SSH_PID"}
    assert (lines["HOME"], lines["AUTOPOD_HOME"], lines["PWD"]) == (str(pod.folder), str(home), str(pod.folder))
    assert "/usr/bin:" in lines["PATH"]


def test_commands_and_sftp_mean_the_same_file_by_the_same_path(
    transport: paramiko.Transport, sftp: paramiko.SFTPClient, pod: LivePod
) -> None:
    path = f"{pod.folder}/a b.txt"
    with sftp.open(path, "w") as file:
        file.write(b"text")
    assert _run(transport, f"cat '{path}'") == "text"
    assert sftp.stat("a b.txt").st_size == 4
    assert sftp.normalize(".") == str(pod.folder)


def test_sftp_refuses_everything_outside(sftp: paramiko.SFTPClient, pod: LivePod, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    way_out = pod.folder / "out"
    way_out.symlink_to(tmp_path)
    (pod.folder / "inside.txt").write_text("theirs")
    up = "/".join([".."] * len(pod.folder.parts))
    for path in ["/etc/passwd", str(outside), f"{pod.folder}/{up}/etc/passwd", "../x", f"{way_out}/outside.txt", "out"]:
        with pytest.raises(PermissionError):
            sftp.stat(path)
        with pytest.raises(PermissionError):
            sftp.open(path, "w")
    with pytest.raises(PermissionError):
        sftp.listdir("/")
    with pytest.raises(PermissionError):
        sftp.mkdir(str(tmp_path / "new"))
    with pytest.raises(PermissionError):
        sftp.posix_rename("inside.txt", str(outside))
    with pytest.raises(PermissionError):
        sftp.posix_rename(str(outside), "inside.txt")
    with pytest.raises(PermissionError):
        sftp.remove(str(outside))
    with pytest.raises(PermissionError):
        sftp.symlink(str(outside), f"{pod.folder}/link")
    with pytest.raises(PermissionError):
        sftp.symlink("../x", f"{pod.folder}/link")
    assert outside.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [outside]


def test_a_neighbour_whose_name_begins_alike_is_outside(sftp: paramiko.SFTPClient, pod: LivePod) -> None:
    neighbour = pod.folder.with_name(pod.folder.name + "x")
    neighbour.mkdir()
    with pytest.raises(PermissionError):
        sftp.listdir(str(neighbour))


def test_links_within_the_folder_work(sftp: paramiko.SFTPClient, pod: LivePod) -> None:
    (pod.folder / "real.txt").write_text("text")
    sftp.symlink("real.txt", f"{pod.folder}/link.txt")
    assert sftp.readlink("link.txt") == "real.txt"
    with sftp.open("link.txt") as file:
        assert file.read() == b"text"
    sftp.remove("link.txt")
    assert (pod.folder / "real.txt").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_connections_are_forwarded_to_comfyui(transport: paramiko.Transport, comfyui: socket.socket, host: str) -> None:
    channel = transport.open_channel("direct-tcpip", (host, comfyui.getsockname()[1]), ("", 0), timeout=_WAIT_S)
    there, _ = comfyui.accept()
    with there:
        channel.sendall(b"ping")
        assert there.recv(10) == b"ping"
        there.sendall(b"pong")
        assert channel.recv(10) == b"pong"
    channel.close()


def test_nothing_else_is_forwarded(transport: paramiko.Transport, pod: LivePod, comfyui: socket.socket) -> None:
    port = comfyui.getsockname()[1]
    for place in [("127.0.0.1", pod.facts["ssh_port"]), ("127.0.0.2", port), ("0.0.0.0", port), ("example.org", 80)]:  # noqa: S104 - must be refused
        with pytest.raises(paramiko.ChannelException, match="Administratively prohibited"):
            transport.open_channel("direct-tcpip", place, ("", 0), timeout=_WAIT_S)


def test_there_is_no_way_back_and_no_terminal(transport: paramiko.Transport) -> None:
    with pytest.raises(paramiko.SSHException):
        transport.request_port_forward("127.0.0.1", 0)
    channel = transport.open_session(timeout=_WAIT_S)
    with pytest.raises(paramiko.SSHException):
        channel.get_pty()
    channel.close()


@pytest.mark.parametrize("command", ["echo $$; sleep 99", "sleep 99 & echo $!; wait"])
def test_a_command_dies_with_its_channel_and_so_do_its_children(transport: paramiko.Transport, command: str) -> None:
    channel = transport.open_session(timeout=_WAIT_S)
    channel.exec_command(command)
    pid = int(channel.recv(100))
    os.kill(pid, 0)
    channel.close()
    assert have_ended({pid})


def test_commands_run_side_by_side(transport: paramiko.Transport, pod: LivePod) -> None:
    os.mkfifo(pod.folder / "pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(_run(transport, "cat pipe")))
    reader.start()
    _run(transport, "echo through > pipe")
    reader.join(_WAIT_S)
    assert found == ["through\n"]
