"""A line that was silent and comes to life again brings nothing any more once the next one stands."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import paramiko
import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import SshError
from autopod_nb.pods import old_line
from autopod_nb.pods.old_line import Earlier, LineName, end_earlier, make_way
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.fakes.relay import Relay
from tests.ssh.live_pod import start_pod

pytestmark = pytest.mark.faults

_CLOCK = SystemClock()
_WITHIN_S = 20.0
_SSHD = Path("/usr/sbin/sshd")
_OURS, _THEIRS = LineName(pod_id="p1", owner="a"), LineName(pod_id="p1", owner="b")


class Listener:
    """A program on the pod: keeps what it is sent."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.heard = b""
        self.ended = threading.Event()  # the first connection
        self.told = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        try:
            line, _ = self._server.accept()
            with line:
                line.sendall(b"hello")
                while data := line.recv(1 << 16):
                    self.heard += data
                    self.told.set()
        except OSError:
            pass
        self.ended.set()

    def close(self) -> None:
        self._server.close()


@dataclass
class Place:
    """An SSH server behind a relay, and the program that it forwards to."""

    relay: Relay
    target: Callable[[], SshTarget]
    key: paramiko.PKey
    listener: Listener
    undo: ExitStack

    def call(self) -> SshConnection:
        line = connect(self.target(), self.key, clock=_CLOCK, timeout_s=_WITHIN_S)
        self.undo.callback(line.close)
        return line


def _openssh(folder: Path, undo: ExitStack, port: int, *, name: str = "sshd") -> tuple[int, str]:
    """Start an ``sshd`` of the user who runs the tests, under any name. Returns its port and the user's name."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    folder.mkdir()
    (folder / "authorized_keys").write_text(public_line(load_key(own_key_path(folder.parent / "home"))) + "\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        own_port: int = probe.getsockname()[1]
    (folder / "config").write_text(
        f"ListenAddress 127.0.0.1:{own_port}\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPermitRootLogin prohibit-password\nPermitOpen 127.0.0.1:{port}\n"
        f"SetEnv HOME={folder}\n"
    )
    program = _SSHD if name == "sshd" else Path(shutil.copy(_SSHD, folder / name))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", folder / "config"], stderr=log)
    undo.callback(process.wait, _WITHIN_S)
    undo.callback(process.terminate)
    return own_port, getpass.getuser()


def _localpod(folder: Path, undo: ExitStack, port: int) -> tuple[int, str]:
    pod = start_pod(folder.parent / "home", folder, "--comfyui-port", str(port))
    undo.callback(pod.end)
    return pod.facts["ssh_port"], "root"


SERVERS = [
    pytest.param(_openssh, marks=pytest.mark.skipif(not _SSHD.exists(), reason="no OpenSSH server"), id="openssh"),
    pytest.param(_localpod, id="localpod"),
]


def _place(server: Callable[..., tuple[int, str]], folder: Path, undo: ExitStack, **wishes: str) -> Place:
    listener = Listener()
    undo.callback(listener.close)
    key = load_key(own_key_path(folder / "home"))
    port, user = server(folder / "server", undo, listener.port, **wishes)
    relay = undo.enter_context(Relay(port))
    pin = HostKeyPin(None)
    return Place(relay, lambda: SshTarget(host="127.0.0.1", port=relay.port, user=user, pin=pin), key, listener, undo)


@pytest.fixture(params=SERVERS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with ExitStack() as undo:
        yield _place(request.param, tmp_path, undo)


def _way(line: SshConnection, name: LineName = _OURS, *, first: bool = False, take: bool = False) -> None:
    make_way(line, name, first=first, take=take, clock=_CLOCK, abort=threading.Event(), tell=pytest.fail)


@pytest.mark.parametrize("makes_way", [True, False])
def test_what_hangs_in_an_old_line_does_not_arrive_after_the_next_one_stands(place: Place, *, makes_way: bool) -> None:
    """It does, where no way is made: else this would prove nothing."""
    old = place.call()
    _way(old, first=True)
    channel = old.open_channel("127.0.0.1", place.listener.port)
    assert channel.recv(5) == b"hello"
    place.relay.stall()
    channel.sendall(b"late")
    new = place.call()
    if makes_way:
        _way(new)
    place.relay.resume()
    if makes_way:
        assert place.listener.ended.wait(_WITHIN_S)
        assert place.listener.heard == b""
        assert new.run("echo on", _WITHIN_S).stdout == b"on\n"
    else:
        assert place.listener.told.wait(_WITHIN_S)
        assert place.listener.heard == b"late"


def test_only_the_line_before_is_ended(place: Place) -> None:
    """Not one of another pod's name, as on a machine that several use, nor one that has no name, as a person's."""
    others = place.call(), place.call()
    _way(others[0], LineName(pod_id="p2", owner="a"), first=True)
    for _ in range(3):
        line = place.call()
        _way(line)
        _way(line)  # to make way twice does no harm
    for other in others:
        assert other.run("echo on", _WITHIN_S).stdout == b"on\n"


def test_the_line_of_another_owner_is_left_alone_until_it_is_taken(place: Place) -> None:
    theirs, ours = place.call(), place.call()
    _way(theirs, _THEIRS, first=True)
    with pytest.raises(SshError, match="taken it over"):
        _way(ours)
    assert theirs.run("echo on", _WITHIN_S).stdout == b"on\n"
    _way(ours, take=True)
    deadline = Deadline(_CLOCK, _WITHIN_S)
    while theirs.alive:
        assert not deadline.passed
        threading.Event().wait(0.01)
    assert ours.run("echo on", _WITHIN_S).stdout == b"on\n"


def test_a_note_of_a_process_that_is_gone_or_is_another_one_now_is_no_danger(place: Place) -> None:
    line = place.call()
    _way(line, first=True)
    keeper = line.start("echo $$; exec sleep 600")
    number = int(keeper.recv(100))
    line.run(f"echo {number} 1 a > $HOME/.autopod-lines/p1", _WITHIN_S)
    assert end_earlier(line, _OURS, take=False) is Earlier.ENDED
    assert line.run(f"kill -0 {number} && echo lives", _WITHIN_S).stdout == b"lives\n"
    keeper.close()


@pytest.mark.skipif(not _SSHD.exists(), reason="no OpenSSH server")
def test_a_server_that_cannot_be_told_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_line, "_UNSURE_S", 0.5)
    told: list[str] = []
    with ExitStack() as undo:
        place = _place(_openssh, tmp_path, undo, name="gatekeeper")
        line = place.call()
        assert end_earlier(line, _OURS, take=True) is Earlier.UNKNOWN
        began_s = _CLOCK.monotonic()
        make_way(line, _OURS, first=True, take=True, clock=_CLOCK, abort=threading.Event(), tell=told.append)
        assert not told
        make_way(line, _OURS, first=False, take=True, clock=_CLOCK, abort=threading.Event(), tell=told.append)
        assert _CLOCK.monotonic() - began_s >= 0.5
        assert "cannot end the line that was lost" in told[0]
        assert line.run("echo on", _WITHIN_S).stdout == b"on\n"
