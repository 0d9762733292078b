"""A machine of the user's own for tests: a real OpenSSH server on loopback, and the account of the contract suite."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from autopod_nb.clock import Deadline, SystemClock, TestClock
from autopod_nb.config import Settings
from autopod_nb.providers.ssh_host import make
from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.providers.account import Account

SSHD = Path("/usr/sbin/sshd")
NO_SSHD = "no OpenSSH server: apt-get install openssh-server"
PRICE = Decimal("0.35")
_WITHIN_S = 20.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class OpenSsh:
    """An ``sshd`` of the user who runs the tests; it lets one key in."""

    process: subprocess.Popen[bytes]
    port: int

    def close(self) -> None:
        """End it. Safe to call twice."""
        self.process.terminate()
        self.process.wait(_WITHIN_S)


def start_openssh(folder: Path, public_key: str, settings: Sequence[str] = ()) -> OpenSsh:
    """Start a server and wait until it answers.

    Args:
        folder: for its files; made.
        public_key: the line of ``authorized_keys``.
        settings: more lines for its configuration.
    """
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # it separates privileges there, and Debian makes it at boot only
    (folder / "authorized_keys").write_text(public_key + "\n")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host_key"], check=True, timeout=20)
    port = free_port()
    more = "\n".join(settings)
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
        Subsystem sftp internal-sftp
        {more}
    """)
    command = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    with (folder / "log").open("wb") as log:
        server = OpenSsh(subprocess.Popen(command, stderr=log), port)
    deadline, pause = Deadline(SystemClock(), _WITHIN_S), threading.Event()
    while not _answers(port):
        if deadline.passed or server.process.poll() is not None:
            server.close()
            raise ChildProcessError(f"no sshd: {(folder / 'log').read_text()}")
        pause.wait(_LOOK_S)
    return server


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_WITHIN_S):
            return True
    except ConnectionRefusedError:
        return False


def ssh_host(home: Path) -> Account:
    """Open an account whose local files lie in the folder; the machine is this one, its ComfyUI two empty folders."""
    server = start_openssh(home / "sshd", public_line(load_key(own_key_path(home))))
    folder = home / "ComfyUI"
    for name in ("input", "output"):
        (folder / name).mkdir(parents=True)
    settings = Settings(
        home=home,
        provider="ssh_host",
        host="127.0.0.1",
        port=server.port,
        user=getpass.getuser(),
        ssh_key_path=own_key_path(home),
        remote_comfyui_dir=str(folder),
        remote_comfyui_port=8188,
        price_per_hour_usd=PRICE,
    )
    clock = TestClock()
    provider = make(settings, clock)
    return Account(provider=provider, clock=clock, home=home, advance=clock.advance, shut=server.close)
