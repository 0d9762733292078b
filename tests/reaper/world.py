"""A home with a kernel that can be killed and a reaper that looks after what it leaves, all of them real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from autopod_nb.clock import Deadline, FileClock, SystemClock
from autopod_nb.config import LEDGER_NAME, read_settings
from autopod_nb.models.job import JobState
from autopod_nb.models.pod import PodState
from autopod_nb.providers.local import LocalProvider
from autopod_nb.session.guardian import ReaperState, ensure_reaper, reaper_state
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow
from autopod_nb.storage.writes import PodChanged
from tests.leftovers import processes_of

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 40.0
_LOOK_S = 0.02
_PROC = Path("/proc")
T = TypeVar("T")


class World:
    """One home. The clock of all its processes is a file that :meth:`jump` moves on.

    Args:
        folder: everything lies below it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.out = folder / "out"
        self.ledger = Ledger(self.home / LEDGER_NAME)
        self._offset = folder / "clock"
        self._offset_s = 0.0
        self.jump(0)
        self.clock = FileClock(self._offset)
        self.owners: list[subprocess.Popen[str]] = []
        self.environ = {**os.environ, "AUTOPOD_HOME": str(self.home), "AUTOPOD_TEST_CLOCK": str(self._offset)}

    def jump(self, seconds: float) -> None:
        """Move the clock of all processes on, as the sleep of a laptop does."""
        self._offset_s += seconds
        part = self._offset.with_suffix(".part")
        part.write_text(str(self._offset_s))
        part.replace(self._offset)

    # --- processes --------------------------------------------------------------------------------------------------

    def kernel(self, *, steps: int = 0) -> dict[str, Any]:
        """Start a process that rents a pod, and renders so many steps. Returns what it says when it does."""
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.session.owner", str(self.folder), str(steps)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environ,
        )
        self.owners.append(process)
        assert process.stdout is not None
        told: dict[str, Any] = json.loads(process.stdout.readline())
        return told

    def kill_kernel(self) -> None:
        """``kill -9`` of the one that was started last."""
        self.owners[-1].kill()
        self.owners[-1].communicate()

    def reaper(self, *options: str) -> subprocess.Popen[bytes]:
        """Start one as a child, to be killed and waited for."""
        return subprocess.Popen([sys.executable, "-m", "autopod_nb.reaper", *options], cwd=ROOT, env=self.environ)

    def ensure(self) -> None:
        """Start one as a kernel does: with the environment of the test."""
        ensure_reaper(read_settings())

    @property
    def state(self) -> ReaperState:
        return reaper_state(self.home)

    def workers(self) -> list[int]:
        """The process ids of all workers of this home."""
        return [pid for pid in processes_of(self.home) if _is_worker(pid)]

    def worker(self) -> int:
        """The process id of the only worker, once there is one."""
        return self.until(lambda: next(iter(self.workers()), None))

    def next_worker(self, *before: int) -> int:
        """The process id of the one that comes after these, and that is alone then."""
        fresh = self.until(lambda: next(iter(set(self.workers()) - set(before)), None))
        self.until(lambda: self.workers() == [fresh])
        return fresh

    def supervisor(self) -> int:
        """The process id of the supervisor, once it has said so."""
        return self.until(lambda: self.state.pid)

    def owners_end(self) -> None:
        """The kernels that the test has left end, by ``kill -9``."""
        for owner in self.owners:
            owner.kill()
            owner.communicate()

    def end_pod(self, pod_id: str) -> None:
        """As the next kernel would: the pod goes, and the ledger says so."""
        provider = LocalProvider(self.home / "pods", clock=self.clock)
        row = self.row(pod_id)
        if row.provider_id is not None:
            provider.terminate(row.provider_id)
        provider.close()
        with self.ledger as ledger:
            ledger.write([PodChanged(pod_id=pod_id, state=PodState.TERMINATED, at=self.clock.now())])

    def end(self) -> None:
        """End whatever still runs, the hard way."""
        self.owners_end()
        while left := processes_of(self.home):
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            threading.Event().wait(_LOOK_S)

    # --- what came of it --------------------------------------------------------------------------------------------

    def until(self, find: Callable[[], T | None], within_s: float = WITHIN_S) -> T:
        """Wait until *find* finds something, in real seconds."""
        deadline, pause = Deadline(SystemClock(), within_s), threading.Event()
        while (found := find()) is None or found is False:
            assert not deadline.passed, f"not within {within_s} s:\n{self.log()}"
            pause.wait(_LOOK_S)
        return found

    def row(self, pod_id: str) -> PodRow:
        return next(row for row in self.ledger.read_pods() if row.pod_id == pod_id)

    def job_state(self, job_id: str) -> JobState:
        return next(row.state for row in self.ledger.read_jobs() if row.job_id == job_id)

    def until_over(self) -> None:
        """Wait until no pod may bill, the folders of the pods are gone, and the reaper has ended by itself."""
        self.until(lambda: not self.ledger.pods_that_may_bill())
        self.until(lambda: not list((self.home / "pods").glob("autopod-*")))
        self.until(lambda: not self.state.running)

    def log(self) -> str:
        path = self.home / "logs" / "reaper.log"
        return path.read_text() if path.exists() else "no log"


def _is_worker(pid: int) -> bool:
    with suppress(OSError):
        return b"--worker-of" in (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    return False
