"""The machines: every pod that is meant to run is a ``localpod`` behind a public port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from tests.fakes.runpod_facts import GPUS, has_comfyui
from tests.fakes.runpod_forwarder import Forwarder
from tests.fakes.runpod_look import HOST
from tests.fakes.runpod_pod import Intent, Pod

_MOUNT = "ComfyUI"  # the folder of a pod that stands for its persistent mount
_END_S = 5.0
_CLOSED_PORT = 9  # "discard", which nobody runs: an image without ComfyUI has nothing behind its port
_ROW_PORTS = (600, 300)  # a pod that is only a row: ports below 1024 that nobody listens on
_NOT_FOR_PODS = re.compile(r"(?i)key|token|secret|passw|credential|auth|cookie|^RUNPOD_|^VAST_|^AUTOPOD_")


@dataclass(slots=True)
class _Machine:
    """What runs, or ran, for one pod."""

    pod: Pod
    forwarder: Forwarder | None = None
    process: Process | None = None
    boot: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Yard:
    """Makes true what the account says. :meth:`sync` after every change, :meth:`close` in the end.

    Args:
        home: the folders of the pods and volumes lie below it.
        url: of the service, for programs inside of pods.
    """

    def __init__(self, home: Path, url: Callable[[], str]) -> None:
        self._home = home
        self._url = url
        self._machines: dict[str, _Machine] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._nobody = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()

    def publish(self, pod: Pod) -> int:
        """A new public port for a pod that starts."""
        if not pod.is_real:
            first, count = _ROW_PORTS
            return first + (pod.number * 7 + pod.boot) % count
        machine = self._machines.setdefault(pod.id, _Machine(pod))
        if machine.forwarder is not None:
            machine.forwarder.close()
        old_inner = machine.forwarder.inner_port if machine.forwarder and machine.boot == pod.boot else None
        machine.forwarder = Forwarder(pod.public_port)
        machine.forwarder.inner_port = old_inner  # a port that changes under a pod that goes on
        self._spawn(machine.forwarder.serve())
        return machine.forwarder.port

    def sync(self, pods: list[Pod]) -> None:
        """Begin to start what is to run and to end what is not. Returns at once; ports are closed at once."""
        for pod in pods:
            machine = self._machines.get(pod.id)
            if pod.intent is not Intent.RUNNING and machine is not None and machine.forwarder is not None:
                machine.forwarder.close()
            wanted = self._wanted(pod)
            if pod.is_real and (machine.boot != wanted if machine is not None else wanted > 0):
                machine = self._machines.setdefault(pod.id, _Machine(pod))
                self._spawn(self._turn(machine))

    @staticmethod
    def _wanted(pod: Pod) -> int:
        """Which of its starts is to run; 0 none, -1 none any more."""
        if pod.intent is Intent.RUNNING:
            return pod.boot if not pod.is_image_bad and "never_boots" not in pod.quirks else 0
        return 0 if pod.intent is Intent.EXITED else -1

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _turn(self, machine: _Machine) -> None:
        """End what runs and start what is to run, one turn of a pod after the other."""
        async with machine.lock:
            pod = machine.pod
            wanted = self._wanted(pod)
            if machine.boot == wanted:
                return
            is_first, machine.boot = machine.boot == 0 and wanted > 0, wanted
            if machine.process is not None:
                process, machine.process = machine.process, None
                await _end(process)
            if not is_first:
                await asyncio.to_thread(self._wipe, pod)
            if wanted > 0:
                await self._give_back_volume(pod)
                await self._start(machine)

    async def _give_back_volume(self, pod: Pod) -> None:
        """Wait until a pod that is being ended has given its volume back to this one (4.9: one after the other)."""
        for other in list(self._machines.values()):
            is_same = pod.order.volume_id is not None and other.pod.order.volume_id == pod.order.volume_id
            if is_same and other.pod is not pod and other.pod.intent is not Intent.RUNNING:
                async with other.lock:
                    pass

    def folder(self, pod: Pod) -> Path:
        """Where a pod's container disk is."""
        return self._home / "pods" / pod.id

    def _wipe(self, pod: Pod) -> None:
        """4.8: a stop wipes the container disk and keeps the mount; a termination keeps network volumes only."""
        folder, mount = self.folder(pod), self.folder(pod) / _MOUNT
        if pod.order.volume_id is not None and mount.exists():
            target = self._home / "volumes" / pod.order.volume_id
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                mount.rename(target)
        keeps = pod.order.persistent_gb > 0 and pod.intent is not Intent.TERMINATED
        for entry in folder.iterdir() if folder.exists() else ():
            if keeps and entry == mount:
                continue
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        if not keeps and folder.exists():
            folder.rmdir()

    async def _start(self, machine: _Machine) -> None:
        """Start its program, and note what it says when it is ready."""
        pod, folder = machine.pod, self.folder(machine.pod)
        folder.mkdir(parents=True, exist_ok=True)
        volume = self._home / "volumes" / str(pod.order.volume_id)
        if pod.order.volume_id is not None and volume.exists():
            volume.rename(folder / _MOUNT)  # a link would lead out of the folder, which the pod forbids
        passed = {name: value for name, value in os.environ.items() if not _NOT_FOR_PODS.search(name)}
        if "AUTOPOD_TEST_CLOCK" in os.environ:
            passed["AUTOPOD_TEST_CLOCK"] = os.environ["AUTOPOD_TEST_CLOCK"]
        with (folder / "boot.log").open("wb") as errors:
            machine.process = await asyncio.create_subprocess_exec(
                *self._command(pod),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=errors,
                start_new_session=True,
                env={**passed, "AUTOPOD_HOME": str(self._home)},
            )
        self._spawn(self._note(machine, machine.process, machine.boot))

    def _command(self, pod: Pod) -> list[str]:
        gpu = GPUS[pod.gpu_id] if pod.gpu_id is not None else None
        command = [
            sys.executable,
            "-m",
            "autopod_nb.localpod",
            "--dir",
            str(self.folder(pod)),
            "--name",
            pod.order.name,
        ]
        command += ["--parent", str(os.getpid()), "--gpu-count", str(max(1, pod.order.gpu_count))]
        command += ["--gpu", gpu.name if gpu else "none", "--vram-gb", str(gpu.memory_gb if gpu else 1)]
        if not has_comfyui(pod.order.image):
            command += ["--comfyui-port", str(_CLOSED_PORT)]
        variables = self._variables(pod)
        command += ["--public-key", variables["PUBLIC_KEY"]]
        for name, value in variables.items():
            command += ["--env", f"{name}={value}"]
        return command

    def _variables(self, pod: Pod) -> dict[str, str]:
        """The environment of a pod (4.5). Platform variables win, so a key by that name is shadowed (5)."""
        found = {
            "PUBLIC_KEY": self._nobody,  # 4.4: without a key nobody gets in by one
            **pod.order.env,
            "RUNPOD_POD_ID": pod.id,
            "RUNPOD_DC_ID": pod.place,
            "RUNPOD_POD_HOSTNAME": f"{pod.id}-{pod.machine[:8]}",
            "RUNPOD_GPU_COUNT": str(pod.order.gpu_count),
            "RUNPOD_CPU_COUNT": str(max(1, pod.order.vcpus)),
            "RUNPOD_API_KEY": pod.key,
            "RUNPOD_API_BASE_URL": self._url(),  # not of the platform: a program inside must find this service
        }
        if pod.order.volume_id is not None:
            found["RUNPOD_VOLUME_ID"] = pod.order.volume_id
        if pod.is_ssh_mapped:
            found |= {"RUNPOD_PUBLIC_IP": HOST, "RUNPOD_TCP_PORT_22": str(pod.public_port)}
        return found

    async def _note(self, machine: _Machine, process: Process, boot: int) -> None:
        """Wait for its one line of output, which has its port and the fingerprint of its host key."""
        if process.stdout is None:
            return
        line = await process.stdout.readline()
        if line and machine.boot == boot and machine.pod.boot == boot:
            facts = json.loads(line)
            machine.pod.host_key = facts["host_key_sha256"]
            if machine.forwarder is not None:
                machine.forwarder.inner_port = facts["ssh_port"]
        await process.wait()  # nobody else may, and a program that ended must not stay a zombie

    async def close(self) -> None:
        """End every program, all at once."""
        for machine in self._machines.values():
            if machine.forwarder is not None:
                machine.forwarder.close()
        await asyncio.gather(*(_end(each.process) for each in self._machines.values() if each.process is not None))
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _end(process: Process) -> None:
    """End a program, politely first."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
