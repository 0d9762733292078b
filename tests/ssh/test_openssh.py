"""The world's own SSH on the other side: our client against OpenSSH's server, its clients against our pod's server."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import SshError
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from autopod_nb.ssh.transfer import PARTS, PodFiles, remote_name
from autopod_nb.ssh.tunnel import Tunnel
from tests.ssh.live_pod import LivePod

SSHD = Path("/usr/sbin/sshd")
CLOCK = SystemClock()
WITHIN_S = 20.0

pytestmark = [
    pytest.mark.skipif(not SSHD.exists(), reason="no OpenSSH server: apt-get install openssh-server"),
    pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client: apt-get install openssh-client"),
]


def _deadline() -> Deadline:
    return Deadline(CLOCK, WITHIN_S)


def _run(*command: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    words = [str(word) for word in command]
    return subprocess.run(words, input=stdin, capture_output=True, timeout=WITHIN_S, check=False)


def _fingerprint(public_key: Path) -> str:
    """As ``ssh-keygen`` prints it."""
    return _run("ssh-keygen", "-l", "-f", public_key).stdout.split()[1].decode()


# --- our client, OpenSSH's server ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenSshServer:
    """An ``sshd`` of the user who runs the tests, which lets one key in and forwards to one port."""

    folder: Path
    port: int
    key_path: Path

    def target(self, fingerprint: str | None = None) -> SshTarget:
        pin = HostKeyPin(fingerprint or _fingerprint(self.folder / "host_key.pub"))
        return SshTarget(host="127.0.0.1", port=self.port, user=getpass.getuser(), pin=pin)

    def connect(self) -> SshConnection:
        return connect(self.target(), load_key(self.key_path), clock=CLOCK, timeout_s=WITHIN_S)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, echo_port: int) -> Iterator[OpenSshServer]:
    folder = tmp_path_factory.mktemp("sshd")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it separates privileges there, and Debian makes it at boot only
    key_path = own_key_path(folder / "home")
    (folder / "authorized_keys").write_text(public_line(load_key(key_path)) + "\n")
    assert _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key").returncode == 0
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "sshd_config").write_text(f"""
        ListenAddress 127.0.0.1:{port}
        HostKey {folder}/host_key
        PidFile none
        AuthorizedKeysFile {folder}/authorized_keys
        UsePAM no
        StrictModes no
        PermitRootLogin prohibit-password
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitOpen 127.0.0.1:{echo_port}
        Subsystem sftp internal-sftp
    """)
    command = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log, env={**os.environ, "OF_THE_SERVER": "yes"})
    yield OpenSshServer(folder, port, key_path)
    process.terminate()
    process.wait(WITHIN_S)


@pytest.fixture
def line(server: OpenSshServer) -> Iterator[SshConnection]:
    line = server.connect()
    yield line
    line.close()


def test_commands_run_with_input_both_outputs_and_status(line: SshConnection) -> None:
    found = line.run("cat; echo wrong >&2; exit 7", WITHIN_S, stdin=b"in\n" * 50_000)
    assert (found.exit_status, found.stdout, found.stderr) == (7, b"in\n" * 50_000, b"wrong\n")


def test_a_command_that_hangs_is_given_up(line: SshConnection) -> None:
    with pytest.raises(SshError, match=r"took longer than 0\.5 s"):
        line.run("sleep 60", 0.5)
    assert line.run("echo on", WITHIN_S).stdout == b"on\n"


def test_commands_do_not_see_the_variables_that_the_environ_file_holds(line: SshConnection, tmp_path: Path) -> None:
    """As on a rented pod."""
    assert b"OF_THE_SERVER" not in line.run("env", WITHIN_S).stdout
    path = tmp_path / "environ with 'quotes'"
    path.write_bytes(b"OF_THE_SERVER=yes\0LINES=one\ntwo\0SIGN=\xc3\xbc=\0")
    assert line.read_environ(str(path)) == {"OF_THE_SERVER": "yes", "LINES": "one\ntwo", "SIGN": "ü="}


def test_a_file_goes_there_once_and_comes_back_the_same(line: SshConnection, tmp_path: Path) -> None:
    source, folder = tmp_path / "a picture ü'.png", f"{tmp_path}/in 'put/autopod"
    source.write_bytes(os.urandom(3 << 20))
    sha256 = hashlib.sha256(source.read_bytes()).hexdigest()
    files = PodFiles(line)
    remote = files.upload(source, folder, deadline=_deadline())
    assert remote == f"{folder}/{remote_name(source)}"
    made = Path(remote).stat().st_mtime_ns
    assert files.upload(source, folder, deadline=_deadline()) == remote
    assert Path(remote).stat().st_mtime_ns == made
    assert files.sha256_of([remote, f"{folder}/none"], _deadline()) == {remote: sha256}
    assert files.download(remote, tmp_path / "back.png", deadline=_deadline()) == sha256
    assert (tmp_path / "back.png").read_bytes() == source.read_bytes()
    assert {path.name for path in Path(folder).iterdir()} == {remote_name(source), PARTS}
    assert list((Path(folder) / PARTS).iterdir()) == []


def test_an_upload_that_was_cut_goes_on_where_it_ended(line: SshConnection, tmp_path: Path) -> None:
    source = tmp_path / "big.bin"
    source.write_bytes(os.urandom(4 << 20))
    part = tmp_path / PARTS / remote_name(source)
    part.parent.mkdir()
    part.write_bytes(source.read_bytes()[: 3 << 20])
    seen: list[int] = []
    remote = PodFiles(line).upload(
        source, str(tmp_path), deadline=_deadline(), on_bytes=lambda done, _size: seen.append(done)
    )
    assert min(seen) == 3 << 20
    assert Path(remote).read_bytes() == source.read_bytes()


def test_the_tunnel_carries_bytes_and_outlives_its_connection(server: OpenSshServer, echo_port: int) -> None:
    lost = threading.Event()
    first = server.connect()
    tunnel = Tunnel(first, echo_port, on_lost=lost.set)
    data = os.urandom(1 << 20)
    assert _echo(tunnel.port, data) == data
    with pytest.raises(SshError, match="lost"):
        first.run("kill -9 $PPID; sleep 20", WITHIN_S)  # the server's own process for this line
    assert lost.wait(WITHIN_S)
    first.close()
    second = server.connect()
    tunnel.reopen(second)
    assert _echo(tunnel.port, data) == data
    tunnel.close()
    second.close()


def _echo(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(1 << 16), b""))


def test_a_port_that_the_server_does_not_forward_is_refused_in_words(
    line: SshConnection, server: OpenSshServer
) -> None:
    with pytest.raises(SshError, match="refused a direct-tcpip channel"):
        line.open_channel("127.0.0.1", server.port)


def test_another_host_key_ends_it_before_anything_is_sent(server: OpenSshServer) -> None:
    target = server.target("SHA256:" + "A" * 43)
    with pytest.raises(SshError, match="shows another host key"):
        connect(target, load_key(server.key_path), clock=CLOCK, timeout_s=WITHIN_S)


def test_another_key_is_refused_at_once(server: OpenSshServer, tmp_path: Path) -> None:
    stranger = load_key(own_key_path(tmp_path))
    with pytest.raises(SshError, match="refused the SSH key SHA256:"):
        connect(server.target(), stranger, clock=CLOCK, timeout_s=WITHIN_S)


# --- OpenSSH's clients, our pod's server -----------------------------------------------------------------------------


@pytest.fixture
def options(pod: LivePod, tmp_path: Path) -> list[object]:
    """What ``ssh`` and ``sftp`` need to be told, the port left out."""
    settings = ["BatchMode=yes", "StrictHostKeyChecking=accept-new", f"UserKnownHostsFile={tmp_path}/known_hosts"]
    settings += ["IdentitiesOnly=yes", "LogLevel=ERROR", "ConnectTimeout=10"]
    return ["-F", "none", "-i", pod.key_path, *(word for setting in settings for word in ("-o", setting))]


@pytest.fixture
def ssh(pod: LivePod, options: list[object]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs ``ssh`` to the pod."""

    def call(*words: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        before = [word for word in words if str(word).startswith("-")]
        return _run(
            "ssh", *options, "-p", pod.facts["ssh_port"], *before, "root@127.0.0.1", *words[len(before) :], stdin=stdin
        )

    return call


def test_ssh_runs_a_command_on_the_pod(
    ssh: Callable[..., subprocess.CompletedProcess[bytes]], pod: LivePod, tmp_path: Path
) -> None:
    found = ssh("cat; pwd; echo wrong >&2; exit 7", stdin=b"in\n")
    assert (found.returncode, found.stdout.splitlines(), found.stderr) == (
        7,
        [b"in", str(pod.folder).encode()],
        b"wrong\n",
    )
    assert _fingerprint(tmp_path / "known_hosts") == pod.facts["host_key_sha256"]


def test_ssh_finds_a_bare_environment(ssh: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    names = {line.partition(b"=")[0] for line in ssh("env").stdout.splitlines()}
    assert b"TOKEN" not in names
    assert b"PATH" in names


def test_sftp_puts_a_file_and_gets_it_back(pod: LivePod, options: list[object], tmp_path: Path) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(os.urandom(1 << 20))
    target = f"{pod.folder}/by sftp.bin"
    batch = f'put "{source}" "{target}"\nls -l "{target}"\nget "{target}" "{back}"\nrm "{target}"\n'
    found = _run("sftp", *options, "-P", pod.facts["ssh_port"], "-b", "-", "root@127.0.0.1", stdin=batch.encode())
    assert found.returncode == 0, found.stderr
    assert back.read_bytes() == source.read_bytes()
    assert not Path(target).exists()


def test_sftp_cannot_leave_the_pods_folder(pod: LivePod, options: list[object], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("not of the pod")
    batch = f'get "{outside}" "{tmp_path}/stolen"\n'
    found = _run("sftp", *options, "-P", pod.facts["ssh_port"], "-b", "-", "root@127.0.0.1", stdin=batch.encode())
    assert found.returncode != 0
    assert not (tmp_path / "stolen").exists()


def test_ssh_is_forwarded_to_the_pods_comfyui_and_nowhere_else(
    ssh: Callable[..., subprocess.CompletedProcess[bytes]], pod: LivePod, echo_port: int
) -> None:
    assert ssh(f"-W127.0.0.1:{echo_port}", stdin=b"there and back").stdout == b"there and back"
    refused = ssh(f"-W127.0.0.1:{pod.facts['ssh_port']}")
    assert refused.returncode != 0
    assert refused.stdout == b""


def test_ssh_without_the_key_is_refused(pod: LivePod, options: list[object], tmp_path: Path) -> None:
    stranger = own_key_path(tmp_path)
    words = [stranger if word == pod.key_path else word for word in options]
    found = _run("ssh", *words, "-p", pod.facts["ssh_port"], "root@127.0.0.1", "true")
    assert found.returncode == 255
    assert b"Permission denied" in found.stderr
