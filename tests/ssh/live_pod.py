"""A pod program that runs, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autopod_nb.clock import SystemClock
from autopod_nb.ssh.connection import HostKeyPin, SshConnection, SshTarget, connect
from autopod_nb.ssh.keys import load_key, own_key_path, public_line

_END_S = 10


@dataclass(frozen=True)
class LivePod:
    """A pod program, what it says of itself, and the key that opens it."""

    process: subprocess.Popen[str]
    folder: Path
    facts: dict[str, Any]
    key_path: Path

    def target(self) -> SshTarget:
        pin = HostKeyPin(self.facts["host_key_sha256"])
        return SshTarget(host="127.0.0.1", port=self.facts["ssh_port"], user="root", pin=pin)

    def connect(self) -> SshConnection:
        return connect(self.target(), load_key(self.key_path), clock=SystemClock(), timeout_s=20)

    def kill(self) -> None:
        """As a crash would end it."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(_END_S)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(_END_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_pod(home: Path, folder: Path, *arguments: str) -> LivePod:
    """Start a pod that ends with this process at the latest, and wait until it is ready; an error if it ends before."""
    key_path = own_key_path(home)
    command = [sys.executable, "-m", "autopod_nb.localpod", "--dir", str(folder)]
    command += ["--public-key", public_line(load_key(key_path)), *arguments]
    if not {"--lease", "--parent"} & set(arguments):
        command += ["--parent", str(os.getpid())]
    environ = {**os.environ, "AUTOPOD_HOME": str(home)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.communicate()
        raise ChildProcessError(f"no pod: {(folder / 'pod.log').read_text()}")
    return LivePod(process, folder, json.loads(line), key_path)


def processes_of(home: Path) -> set[int]:
    """Every process that carries this ``AUTOPOD_HOME``, but this one."""
    mark = f"AUTOPOD_HOME={home}".encode()
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found - {os.getpid()}


def have_ended(processes: set[int], within_s: float = _END_S) -> bool:
    """Wait for the end of processes that need not be ours."""
    until = time.monotonic() + within_s
    for pid in processes:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        with os.fdopen(handle):
            if not select.select([handle], [], [], max(0.0, until - time.monotonic()))[0]:
                return False
    return True
