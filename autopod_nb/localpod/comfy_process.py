"""ComfyUI as a child of the pod: the built-in engine, or the user's own."""

from __future__ import annotations

import asyncio
import math
import os
import random
import signal
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autopod_nb.localpod.children import Children
from autopod_nb.localpod.comfy_install import ComfyInstall
from autopod_nb.localpod.environ import engine_environ
from autopod_nb.localpod.failure import StartFailed
from autopod_nb.localpod.sshd import HOST

_PORTS = range(20_000, 30_000)
"""Below those that systems hand out by themselves: nobody gets one by chance while a ComfyUI still loads."""
_TRIES = 100
_LOOK_S = 0.05
_ANSWER_S = 5.0
_WORDS_LENGTH = 160  # characters of the child's last line


def log_path(base: Path) -> Path:
    """Where ComfyUI's output is, by its base folder."""
    return base / "comfyui.log"


@dataclass(frozen=True, slots=True)
class ComfyProcess:
    """A ComfyUI that was started.

    Attributes:
        process: its process, one of the pod's children.
        port: where it listens, once it has come up.
        what: for messages: which ComfyUI it is.
        log: its output, that of earlier starts included.
        log_start: where this start begins in it, in bytes.
        started_at: monotonic time of its start.
    """

    process: Process
    port: int
    what: str
    log: Path
    log_start: int
    started_at: float

    @property
    def age_s(self) -> float:
        """How long ago it was started, in seconds."""
        return time.monotonic() - self.started_at

    async def answers(self, within_s: float = math.inf) -> bool:
        """Wait until it answers ``/system_stats``; False if it does not in time.

        Raises:
            StartFailed: it ended before.
        """
        until = time.monotonic() + within_s
        while not await _answers(self.port):
            if self.process.returncode is not None:
                raise StartFailed(self._last_words(self.process.returncode))
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_LOOK_S * (1 + self.age_s))  # soon at first, then more and more seldom
        return True

    def _last_words(self, status: int) -> str:
        how = f"with status {status}" if status >= 0 else f"by {signal.Signals(-status).name}"
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()]
        words = lines[-1][:_WORDS_LENGTH] if lines else "it wrote nothing"
        return f"ComfyUI did not start: {words} (ended {how}; {self.what}; see {self.log})"


async def start_built_in(
    children: Children, base: Path, *, gpu: str, vram_bytes: int, variables: Mapping[str, str]
) -> ComfyProcess:
    """Start the built-in engine.

    Args:
        children: start it.
        base: its base folder.
        gpu: name of the GPU that it claims to have.
        vram_bytes: memory of that.
        variables: the pod's own environment.
    """
    port = _free_port()
    argv = [sys.executable, "-m", "autopod_nb.localpod.engine_main", "--host", HOST, "--port", str(port)]
    argv += ["--base-dir", str(base), "--gpu", gpu, "--vram-bytes", str(vram_bytes)]
    environ = engine_environ(children.pod_dir, variables)
    return await _start(children, argv, base, port=port, environ=environ, what="the built-in one")


async def start_install(
    children: Children, base: Path, install: ComfyInstall, *, variables: Mapping[str, str]
) -> ComfyProcess:
    """Start the user's ComfyUI in its own folder, as the user would.

    Args:
        children: start it.
        base: its base folder.
        install: what is started.
        variables: the pod's own environment.
    """
    install.prepare(base)
    port = _free_port()
    environ = engine_environ(children.pod_dir, variables) | {"PYTHONUNBUFFERED": "1"}  # what it prints is in its log
    what = f"in {install.folder} with {install.python}"
    argv = install.command(base, port, HOST)
    return await _start(children, argv, base, port=port, environ=environ, what=what, folder=install.folder)


async def _start(
    children: Children,
    argv: Sequence[str],
    base: Path,
    *,
    port: int,
    environ: Mapping[str, str],
    what: str,
    folder: Path | None = None,
) -> ComfyProcess:
    with log_path(base).open("ab") as output:
        log_start = output.seek(0, os.SEEK_END)
        try:
            process = await children.spawn(argv, environ=environ, output=output, errors=output, folder=folder)
        except OSError as error:  # a script whose interpreter is gone, a program for another machine
            raise StartFailed(f"ComfyUI did not start: {error} ({what})") from error
    return ComfyProcess(process, port, what, log_path(base), log_start, time.monotonic())


def _free_port() -> int:
    for _ in range(_TRIES):
        port = random.choice(_PORTS)  # noqa: S311 - so that pods that start together do not meet
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StartFailed(f"no port from {_PORTS[0]} to {_PORTS[-1]} is free for ComfyUI")


async def _answers(port: int) -> bool:
    """Whether something on *port* answers ``/system_stats`` with 200."""
    try:
        return await asyncio.wait_for(_ask(port), _ANSWER_S)
    except (OSError, asyncio.TimeoutError):
        return False


async def _ask(port: int) -> bool:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET /system_stats HTTP/1.0\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        return (await reader.readline()).split()[1:2] == [b"200"]
    finally:
        writer.close()
