"""The life of a pod: up, described in ``pod.json``, down with everything that it started."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import sys
import time
import uuid
from asyncio.subprocess import Process
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from autopod_nb.localpod.children import Children
from autopod_nb.localpod.comfy_install import ComfyInstall
from autopod_nb.localpod.comfy_process import ComfyProcess, log_path, start_built_in, start_install
from autopod_nb.localpod.environ import write_environ
from autopod_nb.localpod.failure import StartFailed
from autopod_nb.localpod.lease import lease_end, parent_end
from autopod_nb.localpod.sshd import HOST, load_host_key, start_sshd

_log = logging.getLogger(__name__)

_BUILT_IN_S = 60.0  # it takes about one, on a busy machine ten
_AT_ONCE_S = 3.0  # a guess: what is missing is missed by then, before anybody is told to connect
_LOOK_S = 0.05
_CLOSE_S = 0.2
_LOCK_S = 3.0  # an old pod in the same folder has ended by then, or it lives


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPlan:
    """What a pod is to be.

    Attributes:
        pod_dir: its folder: everything that it has lies here.
        name: as its owner calls it.
        gpu: name of the GPU that it claims to have.
        gpu_count: how many of them.
        vram_gb: memory of one, in GB of 10⁹ bytes.
        public_key: the key that is let in, one line.
        variables: the pod's own environment.
        lease: file that its owner renews, or None.
        lease_s: the lease ends when it was not renewed for this long.
        parent: process id that it ends with, or None.
        comfyui_port: forward to this port and start no engine, or None.
        install: the user's ComfyUI, None for the built-in engine.
    """

    pod_dir: Path
    name: str
    gpu: str
    gpu_count: int
    vram_gb: float
    public_key: str
    variables: dict[str, str]
    lease: Path | None
    lease_s: float
    parent: int | None
    comfyui_port: int | None
    install: ComfyInstall | None

    @property
    def comfyui_dir(self) -> Path:
        """ComfyUI's base folder: ``input``, ``output``, ``temp`` and ``user`` lie below it."""
        return self.pod_dir / "ComfyUI"

    def all_variables(self) -> dict[str, str]:
        """The pod's environment, as a provider would set it."""
        return {
            "PUBLIC_KEY": self.public_key,
            "AUTOPOD_POD_NAME": self.name,
            "AUTOPOD_GPU": self.gpu,
            "AUTOPOD_GPU_COUNT": str(self.gpu_count),
            **self.variables,
        }


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[int]:
    """Hold the lock on a pod's folder; its file descriptor."""
    until = time.monotonic() + _LOCK_S
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StartFailed(f"a pod already runs in {path.parent}") from None
                time.sleep(_LOOK_S)
        yield file.fileno()


async def _start_comfyui(plan: PodPlan, children: Children) -> tuple[ComfyProcess, bool]:
    """Start ComfyUI. Returns it, and whether it answers: the user's may take a minute, which is the client's to wait.

    Raises:
        StartFailed: it ended at once, or the built-in one does not answer.
    """
    base, variables = plan.comfyui_dir, plan.all_variables()
    if plan.install is not None:
        comfyui = await start_install(children, base, plan.install, variables=variables)
        return comfyui, await comfyui.answers(within_s=_AT_ONCE_S)
    vram_bytes = int(plan.vram_gb * 1e9)
    comfyui = await start_built_in(children, base, gpu=plan.gpu, vram_bytes=vram_bytes, variables=variables)
    if not await comfyui.answers(within_s=_BUILT_IN_S):
        raise StartFailed(f"ComfyUI did not answer within {_BUILT_IN_S:g} s, see {comfyui.log}")
    return comfyui, True


def _describe(plan: PodPlan, ssh_port: int, comfyui_port: int, host_key: asyncssh.SSHKey) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "started": uuid.uuid4().hex,
        "name": plan.name,
        "gpu": plan.gpu,
        "gpu_count": plan.gpu_count,
        "vram_gb": plan.vram_gb,
        "ssh_host": HOST,
        "ssh_port": ssh_port,
        "ssh_user": "root",
        "host_key_sha256": host_key.get_fingerprint(),
        "comfyui_port": comfyui_port,
        "comfyui_dir": str(plan.comfyui_dir),
        "comfyui_log": str(log_path(plan.comfyui_dir)),
        "environ_path": str(plan.pod_dir / "environ"),
    }


def _announce(path: Path, description: dict[str, object]) -> None:
    """Write ``pod.json``, whole or not at all, and the same as a line of standard output."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(description, indent=1) + "\n")
    part.replace(path)
    with contextlib.suppress(OSError):  # nobody reads it
        sys.stdout.write(json.dumps(description) + "\n")
        sys.stdout.flush()


async def _serve(plan: PodPlan, children: Children) -> str:
    """Bring the pod up and keep it up. Returns only when it cannot go on, with the reason."""
    write_environ(plan.pod_dir / "environ", plan.all_variables())
    plan.comfyui_dir.mkdir(exist_ok=True)
    comfyui: ComfyProcess | None = None
    is_up = False
    comfyui_port = plan.comfyui_port
    if comfyui_port is None:
        comfyui, is_up = await _start_comfyui(plan, children)
        comfyui_port = comfyui.port
    place = {"AUTOPOD_COMFYUI_DIR": str(plan.comfyui_dir), "AUTOPOD_COMFYUI_PORT": str(comfyui_port)}
    write_environ(plan.pod_dir / "environ", {**plan.all_variables(), **place})
    host_key = load_host_key(plan.pod_dir / "host_key")
    async with await start_sshd(
        pod_dir=plan.pod_dir,
        public_key=plan.public_key,
        host_key=host_key,
        children=children,
        comfyui_port=comfyui_port,
    ) as server:
        _announce(plan.pod_dir / "pod.json", _describe(plan, server.get_port(), comfyui_port, host_key))
        _log.info("ready: SSH on %d, ComfyUI on %d", server.get_port(), comfyui_port)
        if comfyui is not None:
            await _follow(comfyui, children, is_up=is_up)
        await server.wait_closed()
    return "its SSH server is closed"


async def _follow(comfyui: ComfyProcess, children: Children, *, is_up: bool) -> None:
    """Return when ComfyUI has ended after it was up: the pod lives on, as its files may be wanted.

    Raises:
        StartFailed: it never came up: then there are none.
    """
    if is_up or await comfyui.answers():
        _log.info("ComfyUI answers, %.1f s after its start", comfyui.age_s)
    status = await children.wait(comfyui.process)
    _log.warning("ComfyUI ended with status %d; it is not started again", status)


async def _told_to_end() -> str:
    told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(name: str) -> None:
        if not told.done():
            told.set_result(f"got {name}")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, tell, number.name)
    return await told


async def _guard_end(guard: Process) -> str:
    await guard.wait()
    return "its guard is gone"


async def _live(plan: PodPlan, lock_fd: int) -> None:
    children = Children(plan.pod_dir, lock_fd)
    guard = await children.start_guard()
    reasons = [asyncio.create_task(each) for each in (_told_to_end(), _guard_end(guard), _serve(plan, children))]
    if plan.lease is not None:
        reasons.append(asyncio.create_task(lease_end(plan.lease, plan.lease_s)))
    if plan.parent is not None:
        reasons.append(asyncio.create_task(parent_end(plan.parent)))
    try:
        done, _ = await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
        _log.info("ends: %s", done.pop().result())
    finally:
        (plan.pod_dir / "pod.json").unlink(missing_ok=True)  # from now on there is nothing to connect to
        for task in reasons:
            task.cancel()
        await asyncio.wait(reasons, timeout=_CLOSE_S)
        await children.end_all()


def run_pod(plan: PodPlan) -> None:
    """Be a pod until its lease, its parent or a signal ends it.

    Raises:
        StartFailed: it cannot come up; everything that was started has ended.
    """
    with _lock(plan.pod_dir / "lock") as lock_fd:
        (plan.pod_dir / "pod.json").unlink(missing_ok=True)  # of a pod that was killed
        asyncio.run(_live(plan, lock_fd))
