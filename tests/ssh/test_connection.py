from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from autopod_nb.clock import SystemClock
from autopod_nb.errors import SshError
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path
from autopod_nb.ssh.line import quote
from tests.ssh.live_pod import LivePod

_CLOCK = SystemClock()


def test_a_command_gives_status_and_both_outputs(connection: SshConnection) -> None:
    found = connection.run("echo out; echo err >&2; exit 7", 10)
    assert (found.exit_status, found.stdout, found.stderr, found.cut) == (7, b"out\n", b"err\n", False)


def test_a_command_reads_what_it_is_given(connection: SshConnection) -> None:
    data = bytes(range(256)) * 4096
    assert connection.run("cat", 10, stdin=data, max_output_bytes=2 << 20).stdout == data


def test_a_command_that_does_not_read_its_input_does_no_harm(connection: SshConnection) -> None:
    assert connection.run("exit 3", 10, stdin=b"x" * (4 << 20)).exit_status == 3
    assert connection.run("echo on", 10).stdout == b"on\n"


def test_output_is_bounded_and_says_so(connection: SshConnection) -> None:
    found = connection.run("head -c 20000000 /dev/zero; head -c 500 /dev/zero >&2", 30, max_output_bytes=1000)
    assert (len(found.stdout), len(found.stderr), found.cut) == (1000, 500, True)


def test_a_command_that_takes_too_long_is_given_up_and_the_line_lives_on(connection: SshConnection) -> None:
    with pytest.raises(SshError, match=r"longer than 0\.5 s"):
        connection.run("sleep 60", 0.5)
    assert connection.run("echo on", 10).stdout == b"on\n"


def test_a_command_that_is_killed_has_no_status(connection: SshConnection) -> None:
    assert connection.run("kill -9 $$", 10).exit_status == -1


def test_a_command_finds_a_bare_environment_and_the_pods_variables_are_read_from_its_file(
    connection: SshConnection, pod: LivePod
) -> None:
    assert b"TOKEN" not in connection.run("env", 10).stdout
    variables = connection.read_environ(pod.facts["environ_path"])
    assert variables["TOKEN"] == "a=b"
    assert variables["LINES"] == "one\ntwo"
    assert variables["SIGN"] == "ü€"
    assert variables["EMPTY"] == ""
    assert variables["PUBLIC_KEY"].startswith("ssh-ed25519 ")


def test_an_environment_that_cannot_be_read_is_an_error(connection: SshConnection) -> None:
    with pytest.raises(SshError, match="Cannot read the pod's environment"):
        connection.read_environ("/nowhere/environ")


def test_another_key_is_refused_at_once(pod: LivePod, tmp_path: Path) -> None:
    stranger = load_key(own_key_path(tmp_path))
    with pytest.raises(SshError, match="refused the SSH key SHA256:"):
        connect(pod.target(), stranger, clock=_CLOCK, timeout_s=60)


def test_the_first_host_key_is_pinned_and_another_one_refused(pod: LivePod, new_pod: Callable[..., LivePod]) -> None:
    pin = HostKeyPin()
    key = load_key(pod.key_path)
    first = SshTarget(host="127.0.0.1", port=pod.facts["ssh_port"], user="root", pin=pin)
    connect(first, key, clock=_CLOCK, timeout_s=20).close()
    assert pin.fingerprint == pod.facts["host_key_sha256"]
    second = SshTarget(host="127.0.0.1", port=new_pod().facts["ssh_port"], user="root", pin=pin)
    with pytest.raises(SshError, match="another host key"):
        connect(second, key, clock=_CLOCK, timeout_s=60)


def test_nobody_there_is_given_up_in_time(pod: LivePod) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
        target = SshTarget(host="127.0.0.1", port=taken.getsockname()[1], user="root", pin=HostKeyPin())
        with pytest.raises(SshError, match="No SSH connection"):
            connect(target, load_key(pod.key_path), clock=_CLOCK, timeout_s=0.8)


def test_a_server_that_comes_up_later_is_reached(pod: LivePod) -> None:
    """Refused and cut lines are tried again: behind the port is nothing, then a line that is cut, then the pod."""
    key = load_key(pod.key_path)
    with socket.socket() as door, socket.socket() as up:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
        made: list[SshConnection] = []
        target = SshTarget(host="127.0.0.1", port=port, user="root", pin=HostKeyPin())
        thread = threading.Thread(target=lambda: made.append(connect(target, key, clock=_CLOCK, timeout_s=30)))
        thread.start()
        door.listen()
        door.settimeout(20)
        door.accept()[0].close()
        down, _ = door.accept()
        up.connect(("127.0.0.1", pod.facts["ssh_port"]))
        pumps = [threading.Thread(target=_pump, args=ends) for ends in ((down, up), (up, down))]
        for pump in pumps:
            pump.start()
        thread.join(20)
        assert made[0].run("echo in", 10).stdout == b"in\n"
        made[0].close()
        for pump in pumps:
            pump.join(5)
        down.close()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(1 << 16):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


def test_waiting_for_a_pod_can_be_stopped(pod: LivePod) -> None:
    stop = threading.Event()
    stop.set()
    target = SshTarget(host="127.0.0.1", port=1, user="root", pin=HostKeyPin())
    with pytest.raises(SshError, match="Stopped"):
        connect(target, load_key(pod.key_path), clock=_CLOCK, timeout_s=60, stop=stop)


def test_a_killed_pod_is_noticed_once_and_everything_says_so(new_pod: Callable[..., LivePod]) -> None:
    pod = new_pod()
    connection = pod.connect()
    lost = threading.Semaphore(0)
    connection.on_lost(lost.release)
    pod.kill()
    assert lost.acquire(timeout=10)
    assert not connection.alive
    with pytest.raises(SshError, match="lost"):
        connection.run("true", 5)
    with pytest.raises(SshError, match="lost"):
        connection.open_sftp()
    connection.on_lost(lost.release)
    assert lost.acquire(timeout=1), "who comes too late is told at once"
    connection.close()
    assert not lost.acquire(blocking=False)


def test_a_pod_that_dies_during_a_command_is_an_error(new_pod: Callable[..., LivePod]) -> None:
    pod = new_pod()
    connection = pod.connect()
    killer = threading.Timer(0.3, pod.kill)
    killer.start()
    with pytest.raises(SshError, match="lost"):
        connection.run("sleep 60", 30)
    killer.join()
    connection.close()


def test_closing_twice_is_safe_and_is_no_loss(pod: LivePod) -> None:
    connection = pod.connect()
    lost: list[str] = []
    connection.on_lost(lambda: lost.append("lost"))
    connection.close()
    connection.close()
    assert not connection.alive
    assert lost == []


@pytest.mark.parametrize("text", ["a b", "it's", '"$HOME"', "`id`", "a\nb", "back\\slash", "", "ü"])
def test_a_quoted_text_is_one_word(connection: SshConnection, text: str) -> None:
    assert connection.run(f"printf %s {quote(text)}", 10).stdout.decode() == text


def test_a_text_that_no_command_can_carry_is_refused_here_and_harmless_there(connection: SshConnection) -> None:
    with pytest.raises(SshError, match="NUL"):
        quote("a\0b")
    assert connection.run("echo a\0b", 10).exit_status == 126
    assert connection.run("echo on", 10).stdout == b"on\n"
