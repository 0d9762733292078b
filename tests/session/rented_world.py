"""Tenants of a made-up RunPod whose time runs on by itself, and troubles that begin and end at a time of their own."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from autopod_nb.clock import Clock, Deadline, SystemClock
from autopod_nb.config import LEDGER_NAME, Settings, read_settings
from autopod_nb.log import close_log
from autopod_nb.providers.base import Provider
from autopod_nb.providers.runpod import RunPodProvider
from autopod_nb.storage.ledger import Ledger
from tests.fakes.runpod_faults import KINDS, Stage
from tests.fakes.service import RunpodService
from tests.leftovers import command_of, processes_of
from tests.session.live import Live
from tests.session.rented import Rented

TIMEOUT_S = 1.5
"""Of the client, in real seconds: a hang of 35 s is longer, as it is longer than the 25 s of real use."""
STEP_S = 0.5
"""Service seconds that go by at each look, beside those that really do: time runs about six times as fast as ours,
which makes it the harder for a product that has 60 s of it."""
_LOOK_S = 0.1
_END_S = 30.0
REAL = SystemClock()


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong.

    Attributes:
        name: a fault of :data:`tests.fakes.runpod_faults.KINDS`, or ``network_gone`` (nothing answers: neither the API
            nor SSH), ``key_revoked``, ``no_money``.
        route: of the API; None: any.
        times: how often a fault strikes.
        seconds: how long, in service time.
    """

    name: str
    route: str | None = None
    times: int = 1
    seconds: float | None = None

    @property
    def is_state(self) -> bool:
        """Whether it begins at once, and not with the next request that it fits."""
        return self.name not in KINDS or KINDS[self.name].stage is Stage.EVENT

    def __str__(self) -> str:
        many = f"x{self.times}" if self.times > 1 else ""
        long = f"_{self.seconds:g}s" if self.seconds else ""
        return f"{self.name}{many}{long}"


class Tenant(Rented):
    """A session that rents with a client of little patience.

    Args:
        folder: as of :class:`Rented`.
        service: as there.
        monkeypatch: as there.
        timeout_s: of its client.
    """

    def __init__(
        self,
        folder: Path,
        service: RunpodService,
        monkeypatch: pytest.MonkeyPatch,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        assert service.clock_file is not None
        self.service = service
        self.environ = environ_of(folder / "home", service)
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)

        def provider(_folder: Path, clock: Clock) -> Provider:
            return patient(read_settings(self.environ), clock, timeout_s)

        Live.__init__(self, folder, provider=provider, settings=self.environ, clock_file=service.clock_file)
        self.lifted_s = 0.0
        self._troubles: list[tuple[float, Callable[[], object]]] = []

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Service time, seconds since 1970."""
        return self.clock.now().timestamp()

    def follow(self, done: Callable[[], bool], within_s: float = _END_S, *, step_s: float = STEP_S) -> None:
        """Let service time run on until something holds; troubles end when they are due.

        Args:
            done: is not asked while the service cannot answer.
            within_s: in real seconds.
            step_s: service seconds a look.
        """
        deadline = Deadline(REAL, within_s)
        while self._is_mute() or not done():
            assert not deadline.passed, f"not within {within_s} s: {self._told()}"
            pass_time(self.service, step_s)
            self._lift()

    def _is_mute(self) -> bool:
        return bool(self._troubles)

    def _told(self) -> str:
        snapshot = self.session.snapshot
        pods = [f"{pod.pod_id} {pod.state.value} ({pod.phase}) {pod.error}" for pod in snapshot.pods.values()]
        jobs = [f"{job.job_id} {job.state.value} {job.error} {job.warning}" for job in snapshot.jobs.values()]
        return " | ".join([*pods, *jobs, self.notices])

    # --- troubles ---------------------------------------------------------------------------------------------------

    def begin(self, *troubles: Trouble) -> None:
        """Let them begin, all at once; that nothing answers comes last."""
        for trouble in sorted(troubles, key=lambda each: each.name == "network_gone"):
            self._begin(trouble)

    def _begin(self, trouble: Trouble) -> None:
        if trouble.name == "network_gone":
            os.kill(self.service.pid, signal.SIGSTOP)
            self._until(trouble, lambda: os.kill(self.service.pid, signal.SIGCONT))
        elif trouble.name == "key_revoked":
            self.service.set(key_revoked=True)
            self._until(trouble, lambda: self.service.set(key_revoked=False))
        elif trouble.name == "no_money":
            self.service.balance("0.0001")
        else:
            self.service.arm(trouble.name, trouble.route, times=trouble.times, seconds=trouble.seconds)
            if KINDS[trouble.name].stage is Stage.EVENT:  # it strikes with the next request, whosever
                self.service.request("GET", "/v2/pods")

    def _until(self, trouble: Trouble, undo: Callable[[], object]) -> None:
        self._troubles.append((self.now_s + (trouble.seconds or 0.0), undo))

    def _lift(self) -> None:
        for each in [each for each in self._troubles if each[0] <= self.now_s]:
            each[1]()
            self._troubles.remove(each)
            self.lifted_s = self.now_s

    # --- the end ----------------------------------------------------------------------------------------------------

    def is_billed(self) -> bool:
        """Whether the service bills anything just now."""
        return any(pod["billing_ended_at"] is None for pod in self.bills())

    def ledger(self) -> Ledger:
        """The books, to be read."""
        return Ledger(self.home / LEDGER_NAME)

    def end(self) -> None:
        """Close the session, and let the reaper see that nothing is left."""
        for _, undo in self._troubles:
            undo()
        self._troubles.clear()
        self.close()
        end_processes_of(self.home, self.service)


def environ_of(home: Path, service: RunpodService, **settings: str) -> dict[str, str]:
    """The variables of every process that rents at this service."""
    return {
        "AUTOPOD_HOME": str(home),
        "AUTOPOD_PROVIDER": "runpod",
        "AUTOPOD_TEST_CLOCK": str(service.clock_file),
        "AUTOPOD_BOOT_MINUTES": "1",
        **service.environ(),
        **settings,
    }


def patient(settings: Settings, clock: Clock, timeout_s: float) -> RunPodProvider:
    """The provider with another time-out."""
    return RunPodProvider(settings, clock=clock, timeout_s=timeout_s)


def pass_time(service: RunpodService, step_s: float = STEP_S) -> None:
    """A look's worth of time: a little that really goes by, and *step_s* of the service's."""
    service.advance(step_s)
    REAL.wait(threading.Event(), _LOOK_S)


def end_processes_of(home: Path, service: RunpodService) -> None:
    """Let time run on until every process of a home has ended by itself; an error if one does not."""
    deadline = Deadline(REAL, _END_S)
    while left := processes_of(home):
        assert not deadline.passed, f"processes are left: {[command_of(pid) for pid in left]}"
        pass_time(service)


@contextmanager
def quick_service(folder: Path) -> Iterator[RunpodService]:
    """The service with a clock of its own, and pods that boot at once."""
    folder.mkdir(parents=True)
    clock_file = folder / "clock"
    clock_file.write_text("0")
    delays = {"provision_s": 0.1, "pull_delay_s": 0.3, "start_delay_s": 0.3}
    with RunpodService(folder / "service", clock_file=clock_file, **delays) as service:
        yield service


@contextmanager
def tenants(service: RunpodService, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tenant]]:
    """Makes tenants of a service that is begun anew; in the end they go, and no process of them is left."""
    service.reset()
    made: list[Tenant] = []

    def open_one() -> Tenant:
        made.append(Tenant(folder / f"tenant{len(made)}", service, monkeypatch))
        return made[-1]

    try:
        yield open_one
    finally:
        for each in made:
            each.end()
        close_log()
