"""Uploads to a real OpenSSH server: few sessions, no programs but busybox, and what a shell may leave behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.errors import SshError, TransferError
from autopod_nb.ssh.content import content_of
from autopod_nb.ssh.lanes import lanes_of
from autopod_nb.ssh.line import SshConnection
from autopod_nb.ssh.pace import Pace
from autopod_nb.ssh.shell import Shell, take
from autopod_nb.ssh.transfer import PARTS, PodFiles
from tests.bench.transfer_server import running

pytestmark = [
    pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="no OpenSSH server: apt-get install openssh-server"),
    pytest.mark.skipif(shutil.which("scp") is None, reason="no OpenSSH client: apt-get install openssh-client"),
]


def _soon() -> Deadline:
    return Deadline(SystemClock(), 60)


def _pace() -> Pace:
    return Pace(_soon())


@pytest.fixture(scope="module")
def standing() -> Iterator[SshConnection]:
    with running() as server:
        connection = server.connect()
        yield connection
        connection.close()


@pytest.fixture
def shell(standing: SshConnection) -> Iterator[Shell]:
    shell = Shell(standing)
    yield shell
    shell.close()


def _paths(folder: Path) -> list[Path]:
    """Some of every kind: archived, in pieces, empty."""
    paths = [folder / f"{number}.bin" for number in range(12)]
    for number, path in enumerate(paths):
        path.write_bytes(os.urandom(number * 40_961))
    big = folder / "big.bin"
    big.write_bytes(os.urandom(20_000_003))
    return [*paths, big]


def _all_arrive(connection: SshConnection, folder: Path) -> bool:
    paths = _paths(folder)
    files = PodFiles(connection)
    remote = files.upload_all(paths, f"{folder}/in 'put/autopod", deadline=_soon())
    part = folder / f"in 'put/autopod/{PARTS}/{content_of(paths[-1]).mark}"
    part.write_bytes(paths[-1].read_bytes()[:9_000_000])  # and once more, from a part
    Path(remote[-1]).unlink()
    assert files.upload_all(paths, f"{folder}/in 'put/autopod", deadline=_soon()) == remote
    hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in map(Path, remote)}
    assert files.sha256_of(remote, _soon()) == {str(path): sha256 for path, sha256 in hashes.items()}
    return [Path(each).read_bytes() for each in remote] == [path.read_bytes() for path in paths]


def test_a_server_that_opens_few_sessions_is_enough(tmp_path: Path) -> None:
    with running(0, "MaxSessions 2") as server:
        connection = server.connect()
        assert _all_arrive(connection, tmp_path)
        connection.close()


def test_a_pod_that_greets_whoever_comes_is_understood(tmp_path: Path) -> None:
    """As a .bashrc does that was not made for commands."""
    with running(0, 'ForceCommand echo "Welcome|7|to your pod"; echo; exec sh -c "$SSH_ORIGINAL_COMMAND"') as server:
        connection = server.connect()
        assert connection.run("true", 20).stdout.startswith(b"Welcome")
        assert _all_arrive(connection, tmp_path)
        connection.close()


@pytest.mark.skipif(shutil.which("busybox") is None, reason="no busybox: apt-get install busybox")
def test_a_pod_that_has_busybox_only_is_enough(tmp_path: Path) -> None:
    """Neither bash nor coreutils nor openssl; as in Alpine."""
    tools = tmp_path / "tools"
    tools.mkdir()
    subprocess.run(["busybox", "--install", "-s", str(tools)], check=True)
    with running(
        0, f"SetEnv PATH={tools}", 'ForceCommand exec env -i PATH=$PATH sh -c "$SSH_ORIGINAL_COMMAND"'
    ) as server:
        connection = server.connect()
        assert connection.run("command -v dd; command -v openssl", 20).stdout.decode().split() == [f"{tools}/dd"]
        assert _all_arrive(connection, tmp_path)
        connection.close()


@pytest.mark.skipif(shutil.which("perl") is None, reason="no perl: apt-get install perl")
def test_a_pod_whose_dd_is_old_is_enough(tmp_path: Path) -> None:
    """As on macOS before 13."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "dd").write_text(f'#!/bin/sh\ncase "$*" in *iflag*) exit 1;; esac\nexec {shutil.which("dd")} "$@"\n')
    (tools / "dd").chmod(0o755)
    with running(0, f'ForceCommand PATH={tools}:$PATH exec sh -c "$SSH_ORIGINAL_COMMAND"') as server:
        connection = server.connect()
        assert connection.run("dd iflag=fullblock count=0 </dev/null", 20).exit_status == 1
        assert _all_arrive(connection, tmp_path)
        connection.close()


def test_a_shell_runs_one_command_after_the_other_and_keeps_their_inputs_apart(shell: Shell) -> None:
    data = os.urandom(200_000) + b"\nrm -rf /\n"
    for _ in range(3):
        found = shell.run(f"{take(len(data))} 2>/dev/null | openssl dgst -sha256 -r; cd /", _pace(), [(data, 0)])
        assert found.output.split()[0].decode() == hashlib.sha256(data).hexdigest()
    found = shell.run("pwd; echo wrong >&2; printf 'no\\nend'; x=1", _pace())
    assert (found.status, found.output) == (0, f"{Path.home()}\nwrong\nno\nend".encode())
    assert shell.run('echo "$x"', _pace()).output == b"\n", "each has a subshell of its own"
    assert shell.usable


def test_after_a_command_that_failed_nothing_of_its_input_is_taken_for_a_command(shell: Shell, tmp_path: Path) -> None:
    mark = tmp_path / "was run"
    found = shell.run("exit 3", _pace(), [(f"x 9\ntouch {mark}\n".encode() * 10_000, 0)])
    assert found.status == 3
    assert not shell.usable
    assert not mark.exists()


def test_a_shell_that_is_ended_is_an_error_and_the_next_one_is_new(standing: SshConnection) -> None:
    lanes = lanes_of(standing)
    with pytest.raises(TransferError, match="shell ended"), lanes.shell(standing, lambda: None) as shell:
        shell.run("echo killed; kill -9 $$", _pace())
    with lanes.shell(standing, lambda: None) as shell:
        assert shell.run("echo on", _pace()).output == b"on\n"


def test_the_same_shell_is_taken_again(standing: SshConnection) -> None:
    lanes = lanes_of(standing)
    for _ in range(2):
        with lanes.shell(standing, lambda: None) as shell:
            before = shell.run("echo $$", _pace()).output
        with lanes.shell(standing, lambda: None) as shell:
            assert shell.run("echo $$", _pace()).output == before


def test_without_a_connection_it_is_an_error_of_the_line() -> None:
    with running() as server:
        connection = server.connect()
        connection.close()
        with pytest.raises(SshError), lanes_of(connection).shell(connection, lambda: None):
            pytest.fail("there is none")
