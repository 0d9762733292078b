"""A real OpenSSH server with one cipher, a line to it with or without delay, and the world's own client beside ours."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.clock import SystemClock
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line

_SSHD = Path("/usr/sbin/sshd")
_ROOT = Path(__file__).resolve().parents[2]
_CIPHER = "aes128-gcm@openssh.com"
_WITHIN_S = 20.0


@dataclass(frozen=True)
class Server:
    """An ``sshd`` of this user; *port* is where the line to it begins."""

    folder: Path
    port: int
    key_path: Path

    def connect(self) -> SshConnection:
        """Our client."""
        target = SshTarget(host="127.0.0.1", port=self.port, user=getpass.getuser(), pin=HostKeyPin())
        return connect(target, load_key(self.key_path), clock=SystemClock(), timeout_s=_WITHIN_S)

    def options(self) -> list[str]:
        """What ``scp`` and ``ssh`` need to be told, the port left out."""
        settings = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes"]
        settings += ["LogLevel=ERROR", f"Ciphers={_CIPHER}", "Compression=no"]
        return ["-F", "none", "-i", str(self.key_path), *(word for each in settings for word in ("-o", each))]

    def scp(self, paths: Sequence[Path], folder: Path) -> None:
        """Have ``scp`` bring files there; whether it did is for the caller to judge."""
        goal = f"{getpass.getuser()}@127.0.0.1:{folder}/"
        subprocess.run(["scp", "-q", *self.options(), "-P", str(self.port), *map(str, paths), goal], check=False)

    @contextlib.contextmanager
    def forward(self, remote_port: int) -> Iterator[int]:
        """``ssh -L``: a local port that leads to the server's one."""
        port = _free_port()
        command = ["ssh", *self.options(), "-N", "-o", "ExitOnForwardFailure=yes", "-p", str(self.port)]
        command += ["-L", f"127.0.0.1:{port}:127.0.0.1:{remote_port}", f"{getpass.getuser()}@127.0.0.1"]
        with subprocess.Popen(command) as process:
            try:
                _wait_for(port)
                yield port
            finally:
                process.terminate()


@contextlib.contextmanager
def running(delay_ms: float = 0, *settings: str) -> Iterator[Server]:
    """A server that ends with the block, behind a line that takes *delay_ms* each way; 0 is no line in between.

    Args:
        delay_ms: each way.
        settings: more lines for its configuration.

    Raises:
        RuntimeError: a program that is compared with is not here.
    """
    missing = [name for name in ("ssh", "scp", "ssh-keygen", str(_SSHD)) if shutil.which(name) is None]
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; apt-get install openssh-client openssh-server")
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        port, key_path = _start_sshd(folder, settings, stack)
        if delay_ms:
            port = _start_line(port, delay_ms, stack)
        yield Server(folder, port, key_path)


def _start_sshd(folder: Path, settings: Sequence[str], stack: contextlib.ExitStack) -> tuple[int, Path]:
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    key_path = own_key_path(folder / "home")
    (folder / "authorized_keys").write_text(public_line(load_key(key_path)) + "\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True)
    port = _free_port()
    more = "\n".join(settings)
    (folder / "sshd_config").write_text(f"""
        ListenAddress 127.0.0.1:{port}
        HostKey {folder}/host_key
        PidFile none
        AuthorizedKeysFile {folder}/authorized_keys
        Ciphers {_CIPHER}
        UsePAM no
        StrictModes no
        PermitRootLogin prohibit-password
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        Subsystem sftp internal-sftp
        {more}
    """)
    log = stack.enter_context((folder / "log").open("wb"))
    process = stack.enter_context(
        subprocess.Popen([str(_SSHD), "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log)
    )
    stack.callback(process.terminate)
    _wait_for(port)
    return port, key_path


def _start_line(port: int, delay_ms: float, stack: contextlib.ExitStack) -> int:
    command = [sys.executable, "-m", "tests.fakes.relay", str(port), str(delay_ms)]
    process = stack.enter_context(
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.stdin.close)
    return int(process.stdout.readline())


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    pause = threading.Event()
    for _ in range(int(_WITHIN_S / 0.05)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        pause.wait(0.05)
    raise RuntimeError(f"nobody listens on port {port}")
