"""A real OpenSSH server with one cipher, a line to it with or without delay, and the world's own client beside ours."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.clock import SystemClock
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.fakes.relayed import RelayProcess
from tests.providers.ssh_host_account import SSHD, free_port, start_openssh

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
        port = free_port()
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
    missing = [name for name in ("ssh", "scp", "ssh-keygen", str(SSHD)) if shutil.which(name) is None]
    if missing:
        raise RuntimeError(f"not installed: {', '.join(missing)}; apt-get install openssh-client openssh-server")
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        key_path = own_key_path(folder / "home")
        public_key = public_line(load_key(key_path))
        server = start_openssh(folder / "sshd", public_key, [f"Ciphers {_CIPHER}", *settings])
        stack.callback(server.close)
        port = server.port
        if delay_ms:
            line = RelayProcess(port, delay_ms)
            stack.callback(line.close)
            port = line.port
        yield Server(folder, port, key_path)


def _wait_for(port: int) -> None:
    pause = threading.Event()
    for _ in range(int(_WITHIN_S / 0.05)):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        pause.wait(0.05)
    raise RuntimeError(f"nobody listens on port {port}")
