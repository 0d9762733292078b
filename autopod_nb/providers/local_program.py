"""The program of a pod on this machine: how it is started, and how it is ended for sure."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from autopod_nb.clock import Deadline, SystemClock
from autopod_nb.providers.local_folder import PodFolder

_NOT_FOR_PODS = re.compile(r"(?i)key|token|secret|passw|passphrase|credential|auth|cookie|^RUNPOD_|^VAST_")
_END_WITHIN_S = 5.0
_LOOK_S = 0.02
_REAL_TIME = SystemClock()  # processes end in real time, whatever a test's clock says


def start(folder: PodFolder, *, lease_s: float, options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start ``python -m autopod_nb.localpod`` as the folder's order says.

    Args:
        folder: with an order and a lease.
        lease_s: it ends when its lease was not renewed for this long.
        options: for the program, besides those of the order.

    Raises:
        OSError: no process can be made.
        ValueError: a variable holds a NUL.
    """
    order = folder.order()
    command = [sys.executable, "-m", "autopod_nb.localpod", "--dir", str(folder.path), "--name", folder.name]
    for option in ("gpu", "gpu_count", "vram_gb", "public_key"):
        command += [f"--{option.replace('_', '-')}", str(order[option])]
    command += ["--lease", str(folder.lease), "--lease-seconds", str(lease_s), *options]
    env = order["env"]
    for key, value in env.items() if isinstance(env, dict) else ():
        command += ["--env", f"{key}={value}"]
    with (folder.path / "boot.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own program with our own arguments
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            env=_environ(folder),
        )


def _environ(folder: PodFolder) -> dict[str, str]:
    """What the program gets: the user's Python must work in it, and no key of the user's is in it."""
    passed = {name: value for name, value in os.environ.items() if not _NOT_FOR_PODS.search(name)}
    return {**passed, "AUTOPOD_HOME": str(folder.root.parent)}


def end(folder: PodFolder, pid: int, process: subprocess.Popen[bytes] | None) -> bool:
    """End a pod's program, politely first.

    Args:
        folder: the pod's.
        pid: of the program.
        process: the same, if it is a child of ours.

    Returns:
        Whether it is gone.
    """
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if _is_gone(folder, pid, process):
        return True
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    return _is_gone(folder, pid, process)


def _is_gone(folder: PodFolder, pid: int, process: subprocess.Popen[bytes] | None) -> bool:
    """Wait for its end; False when it takes too long."""
    deadline = Deadline(_REAL_TIME, _END_WITHIN_S)
    pause = threading.Event()
    while not deadline.passed:
        if process is not None:
            process.poll()  # our own child stays a zombie until it is asked
        if not folder.is_pod(pid) and (process is None or process.pid != pid or process.returncode is not None):
            return True
        pause.wait(_LOOK_S)
    return False
