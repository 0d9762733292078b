"""The pod's child processes: each leads a process group, none outlives the pod."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from autopod_nb.localpod.environ import bare_environ, pod_marks

_TERM_S = 1.0
_KILL_S = 0.8


class Children:
    """Starts, knows and ends the processes of one pod.

    Args:
        pod_dir: the pod's folder.
        lock_fd: the lock on that folder. The guard shares it, so that no new pod begins there while it still kills.
    """

    def __init__(self, pod_dir: Path, lock_fd: int) -> None:
        self.pod_dir = pod_dir
        self._lock_fd = lock_fd
        self._running: dict[int, Process] = {}
        self._guard: Process | None = None

    async def start_guard(self) -> Process:
        """Start the process that ends the others should this one be killed. To be called before any other."""
        self._guard = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",  # the modules beside it must not stand in front of the standard library
            "-S",
            str(Path(__file__).with_name("guard_main.py")),
            *pod_marks(self.pod_dir),
            stdin=PIPE,
            start_new_session=True,  # a Ctrl+C in a terminal must not reach it
            pass_fds=(self._lock_fd,),
            env=bare_environ(self.pod_dir),
        )
        return self._guard

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        output: IO[bytes] | int = PIPE,
        errors: IO[bytes] | int = PIPE,
        folder: Path | None = None,
    ) -> Process:
        """Start *argv* in a folder, or else the pod's, as the leader of a new process group; a pipe is its input."""
        cwd = folder or self.pod_dir
        child = await asyncio.create_subprocess_exec(
            *argv, cwd=cwd, env=environ, stdin=PIPE, stdout=output, stderr=errors, start_new_session=True
        )
        self._running[child.pid] = child
        self._tell_guard(f"+{child.pid}")
        return child

    async def wait(self, child: Process) -> int:
        """Wait for the end of *child*. Returns its exit status, negative for a signal."""
        status = await child.wait()
        if self._running.pop(child.pid, None) is not None:
            self._tell_guard(f"-{child.pid}")  # the number may soon be somebody else's
        return status

    def kill(self, child: Process) -> None:
        """Kill *child* with its process group, if it still runs."""
        if child.pid in self._running and child.returncode is None:
            _signal_group(child.pid, signal.SIGKILL)

    async def end_all(self) -> None:
        """End every child within two seconds: SIGTERM, then the guard kills what is left. Safe to call twice."""
        children = list(self._running.values())
        for child in children:
            _signal_group(child.pid, signal.SIGTERM)
        if children:
            await asyncio.wait([asyncio.create_task(self.wait(child)) for child in children], timeout=_TERM_S)
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.stdin.close()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(guard.wait(), _KILL_S)

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.write(f"{line}\n".encode())


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)
