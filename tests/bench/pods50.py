"""What fifty pods cost the kernel that watches them: processor, memory, delay, and the answer of a cell.

The pods are on this machine, in one process with an SSH server for each (:mod:`tests.bench.pods50_server`); the session
is a real one in a real kernel, and everything comes through its tunnels.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.manager import start_new_kernel

from autopod_nb.ssh.keys import load_key, own_key_path, public_line
from tests.bench.pods50_server import STEPS_PER_S
from tests.bench.run import ROOT, Row, row
from tests.session.graphs import GRAPHS

_PODS = 50
_WATCHED_S = 20.0
_ANSWERS = 100
_SHARE_SENT = 0.95  # of what the server is to send: with less the figures are of something else
_WITHIN_S = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was measured in one run.

    Attributes:
        cpu_cores: of the kernel process.
        server_cores: of the process with the pods.
        panel_cores: of the kernel with the control room open.
        delays_ms: from the server's sending of each step to the snapshot that shows it.
        mb_per_pod: growth of the kernel from the first pod to the last.
        answers_ms: of a cell with ``1+1``, beside the pods.
        bare_ms: the same in this kernel before the first pod.
        stop_s: until all pods and threads have ended.
        snapshots_per_s: how many the session made.
    """

    pods: int
    cpu_cores: float
    server_cores: float
    panel_cores: float
    delays_ms: Sequence[float]
    mb_per_pod: float
    answers_ms: Sequence[float]
    bare_ms: Sequence[float]
    stop_s: float
    snapshots_per_s: float


def cpu() -> Row:
    """Cores that the kernel uses while all pods tell of their progress."""
    got = _figures()
    note = (
        f"{got.pods} pods through SSH, {2 * STEPS_PER_S} messages a second each, {_WATCHED_S:.0f} s;"
        f" {got.snapshots_per_s:.0f} snapshots a second; {got.panel_cores:.2f} with the dashboard open; the pods' own"
        f" process {got.server_cores:.2f}"
    )
    return row("pods50_cpu_cores", got.cpu_cores, "cores", 0.5, note)


def delay() -> Row:
    """From the sending of an event to the snapshot that shows it."""
    got = _figures()
    p99 = statistics.quantiles(got.delays_ms, n=100)[98]
    note = f"{len(got.delays_ms)} steps; median {statistics.median(got.delays_ms):.0f}, worst {max(got.delays_ms):.0f}"
    return row("pods50_event_p99_ms", p99, "ms", 250, note)


def memory() -> Row:
    """How much the kernel grows by each further pod."""
    got = _figures()
    note = f"of 10⁶ bytes, resident, from the first pod to the {got.pods}th, all working"
    return row("pods50_mb_per_pod", got.mb_per_pod, "MB", 3, note)


def answer() -> Row:
    """How soon ``1+1`` is answered meanwhile."""
    got = _figures()
    note = (
        f"p95 of {len(got.answers_ms)} cells with 1+1; median {statistics.median(got.answers_ms):.0f}, worst"
        f" {max(got.answers_ms):.0f}; without pods median {statistics.median(got.bare_ms):.0f}"
    )
    return row("cell_answer_ms_with_50_pods", _p95(got.answers_ms), "ms", 50, note)


def stop() -> Row:
    """How long it takes until all have ended."""
    got = _figures()
    note = f"{got.pods} pods that work; the session is closed, and no thread of ours is left"
    return row("pods50_stop_s", got.stop_s, "s", 10, note)


def _p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[18]


@functools.cache
def _figures() -> Figures:
    """All of it in one run, which all rows share."""
    return measure(_PODS, _WATCHED_S, _ANSWERS)


def measure(pods: int, watched_s: float, answers: int) -> Figures:
    """Rent so many pods, watch them for a while, ask the kernel something meanwhile, and end them."""
    with tempfile.TemporaryDirectory(prefix="autopod-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        template = folder / "slow.json"
        template.write_text(json.dumps(GRAPHS["slow"]))
        server, told = stack.enter_context(_server(folder, pods))
        kernel = stack.enter_context(_Kernel.running(folder))
        bare_ms = kernel.answers(answers)
        kernel.run("from tests.bench.pods50_kernel import Fleet, resident_mb")
        kernel.run(f"fleet = Fleet({name!r}, {str(template)!r}); fleet.add(1)")
        kernel.run("import gc; gc.collect()")
        first_mb = float(kernel.run("resident_mb()"))
        kernel.run(f"fleet.add({pods - 1})")
        _wait(1.5)  # the last ones begin with the next second
        kernel.run("fleet.read()")
        begin_s = time.monotonic()
        cpu_cores, server_cores = _cores([kernel.pid, server.pid], watched_s)
        until_s = time.monotonic()
        last_mb = float(kernel.run("resident_mb()"))
        seen = json.loads(Path(kernel.run("fleet.seen()").strip("'")).read_text())
        answers_ms = kernel.answers(answers)
        kernel.run("fleet.check()")
        kernel.run("fleet.panel()")
        (panel_cores,) = _cores([kernel.pid], watched_s / 2)
        sent = _sent(told["port"])
        stop_s = float(kernel.run("fleet.end()"))
    return Figures(
        pods=pods,
        cpu_cores=cpu_cores,
        server_cores=server_cores,
        panel_cores=panel_cores,
        delays_ms=delays_ms(sent, seen["seen"], begin_s, until_s),
        mb_per_pod=(last_mb - first_mb) / (pods - 1),
        answers_ms=answers_ms,
        bare_ms=bare_ms,
        stop_s=stop_s,
        snapshots_per_s=seen["snapshots"] / (until_s - begin_s),
    )


def delays_ms(
    sent: Sequence[Sequence[float]], seen: dict[str, list[list[float]]], since_s: float, until_s: float
) -> list[float]:
    """For each step that was sent in this time: how long it took until a snapshot showed it or a later one.

    Args:
        sent: for each pod, when the steps 1, 2, 3 … were sent.
        seen: number of a pod → the step that was newest, and when it was seen.
        since_s: monotonic time.
        until_s: the same.

    Raises:
        RuntimeError: too few were sent, or one was never seen.
    """
    if len(sent) != len(seen):
        raise RuntimeError(f"{len(seen)} of {len(sent)} pods were seen")
    delays = []
    for number, times in enumerate(sent):
        changes = seen[str(number)]
        at = 0
        for step, sent_s in enumerate(times, start=1):
            if not since_s <= sent_s < until_s - 1:
                continue
            while at < len(changes) and changes[at][0] < step:
                at += 1
            if at == len(changes):
                raise RuntimeError(f"step {step} was sent and never seen")
            delays.append((changes[at][1] - sent_s) * 1000)
    expected = len(sent) * STEPS_PER_S * (until_s - 1 - since_s)
    if len(delays) < _SHARE_SENT * expected:
        raise RuntimeError(f"{len(delays)} steps were sent instead of {expected:.0f}: this machine is too slow")
    return delays


def _cores(pids: Sequence[int], seconds: float) -> list[float]:
    """How much of a core each of these processes uses in the time that comes now."""
    begin_s, before = time.monotonic(), [_cpu_s(pid) for pid in pids]
    _wait(seconds)
    span_s = time.monotonic() - begin_s
    return [(_cpu_s(pid) - used_s) / span_s for pid, used_s in zip(pids, before, strict=True)]


def _cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used, all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def _sent(port: int) -> list[list[float]]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/sent", timeout=30) as answer:
        found: list[list[float]] = json.load(answer)
        return found


@contextlib.contextmanager
def _server(folder: Path, pods: int) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process with the pods; it ends with the block."""
    key_file = folder / "key.pub"
    key_file.write_text(public_line(load_key(own_key_path(folder / "home"))))
    places = folder / "pods"
    places.mkdir()
    command = [sys.executable, "-m", "tests.bench.pods50_server", str(pods), str(key_file), str(places)]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError((folder / "server.log").read_text()[-1000:])
            (folder / "pods.json").write_text(line)
            yield process, json.loads(line)
        finally:
            process.stdin.close()


class _Kernel:
    """A kernel of Jupyter's, and a client that runs cells in it."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._client = client
        self.pid: int = manager.provisioner.process.pid

    @classmethod
    @contextlib.contextmanager
    def running(cls, folder: Path) -> Iterator[_Kernel]:
        env = {**os.environ, "AUTOPOD_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
        arguments = ["--IPKernelApp.log_level=ERROR"]
        manager, client = start_new_kernel(kernel_name="python3", env=env, cwd=str(folder), extra_arguments=arguments)
        try:
            yield cls(manager, client)
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def run(self, code: str) -> str:
        """Run a cell. Returns its value as text.

        Raises:
            RuntimeError: it failed.
        """
        said: list[str] = []

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "execute_result":
                said.append(content["data"]["text/plain"])
            elif message["msg_type"] == "error":
                raise RuntimeError("\n".join(content["traceback"]))

        self._client.execute_interactive(code, timeout=_WITHIN_S, output_hook=hook)
        return "".join(said)

    def answers(self, count: int) -> list[float]:
        """How long each of so many cells with ``1+1`` takes, until its value is here, in ms."""
        times = []
        for _ in range(count):
            begin = time.perf_counter()
            if self.run("1+1") != "2":
                raise RuntimeError("1+1 is not answered with 2")
            times.append((time.perf_counter() - begin) * 1000)
            _wait(0.05)
        return times
