"""Owners of rented pods that are killed, and what looks after the pods then: the reaper, or only their watchdogs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from autopod_nb.clock import Deadline, FileClock, SystemClock
from autopod_nb.config import LEDGER_NAME
from autopod_nb.session.guardian import ReaperState, reaper_state
from autopod_nb.storage.ledger import Ledger
from autopod_nb.storage.rows import PodRow, Role
from tests.fakes.service import RunpodService
from tests.leftovers import processes_of
from tests.session.rented_world import STEP_S, end_processes_of, environ_of, pass_time

ROOT = Path(__file__).resolve().parents[2]
_WITHIN_S = 40.0
_CARRIED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR")
REAL = SystemClock()


class Orphans:
    """A home whose processes may be killed.

    Args:
        folder: everything lies below it.
        service: where its pods are rented.
    """

    def __init__(self, folder: Path, service: RunpodService) -> None:
        assert service.clock_file is not None
        self.folder = folder
        self.home = folder / "home"
        self.out = folder / "out"
        self.service = service
        self.clock = FileClock(service.clock_file)
        passed = {name: os.environ[name] for name in _CARRIED if name in os.environ}
        self.environ = {**passed, **environ_of(self.home, service), "AUTOPOD_BOOT_MINUTES": "15"}
        self.ledger = Ledger(self.home / LEDGER_NAME)
        self._owner: subprocess.Popen[str] | None = None

    @property
    def now_s(self) -> float:
        """Service time, seconds since 1970."""
        return self.clock.now().timestamp()

    def follow(self, done: Callable[[], object], within_s: float = _WITHIN_S, *, step_s: float = STEP_S) -> None:
        """Let service time run on until something holds."""
        deadline = Deadline(REAL, within_s)
        while not done():
            assert not deadline.passed, f"not within {within_s} s: {self.service.pods()}\n{self.log()}"
            pass_time(self.service, step_s)

    # --- processes --------------------------------------------------------------------------------------------------

    def own(self, moment: str) -> dict[str, Any]:
        """Start an owner; time runs on until its moment has come. Returns what it says then."""
        owner = self._owner = subprocess.Popen(
            [sys.executable, "-m", "tests.session.rented_owner", str(self.folder), moment],
            cwd=ROOT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert owner.stdout is not None
        told: dict[str, Any] = json.loads(owner.stdout.readline())
        return told

    def kill_owner(self) -> None:
        """``kill -9``."""
        if self._owner is not None:
            self._owner.kill()
            self._owner.communicate()

    @property
    def reaper(self) -> ReaperState:
        return reaper_state(self.home)

    def reaper_processes(self) -> list[int]:
        """Supervisor and worker."""
        return [pid for pid in processes_of(self.home) if _is_reaper(pid)]

    def kill_reaper(self) -> None:
        """``kill -9`` of supervisor and worker, neither of whom can do anything about the other."""
        self.follow(lambda: len(self.reaper_processes()) > 1)
        found = self.reaper_processes()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        self.follow(lambda: not self.reaper.running)

    # --- what came of it --------------------------------------------------------------------------------------------

    def row(self) -> PodRow:
        """Of the only pod."""
        (row,) = self.ledger.read_pods()
        return row

    def is_owned_by_reaper(self) -> bool:
        """Whether the reaper has taken the pod."""
        lease = self.row().lease
        return lease is not None and lease.owner.role is Role.REAPER

    def bills(self) -> list[dict[str, Any]]:
        """Every pod that ever cost something."""
        return [pod for pod in self.service.bill()["pods"] if pod["segments"]]

    def is_billed(self) -> bool:
        return any(pod["billing_ended_at"] is None for pod in self.bills())

    def log(self) -> str:
        """The reaper's."""
        path = self.home / "logs" / "reaper.log"
        return path.read_text() if path.exists() else "no log"

    def end(self) -> None:
        """Whatever still bills is ended at the service, so that every process ends by itself; else an error."""
        self.kill_owner()
        for pid in self.reaper_processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        end_processes_of(self.home, self.service)


def _is_reaper(pid: int) -> bool:
    with suppress(OSError):
        return b"autopod_nb.reaper" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    return False


@contextmanager
def orphans(service: RunpodService, folder: Path) -> Iterator[Orphans]:
    """A home of a service that is begun anew; in the end no process of it is left."""
    service.reset()
    found = Orphans(folder, service)
    try:
        yield found
    finally:
        found.end()
