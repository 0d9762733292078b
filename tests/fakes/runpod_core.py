"""What all doors of the service share: the account, its settings, faults, machines and time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autopod_nb.clock import Clock
from tests.fakes.runpod_account import Account
from tests.fakes.runpod_facts import NO_BALANCE, NO_CAPACITY, NO_CAPACITY_V2, NO_DISK, NO_FREE_GPU, NO_MACHINE
from tests.fakes.runpod_faults import Faults, Stage
from tests.fakes.runpod_look import Look, look
from tests.fakes.runpod_pod import Intent, Order, Pod
from tests.fakes.runpod_settings import RefusedError, Settings
from tests.fakes.runpod_yard import Yard

_POLL_S = 0.02
_BORN_ONLY = ("late_in_lists",)


@dataclass(slots=True)
class Arrival:
    """A request as it came in.

    Attributes:
        at: service time, seconds since 1970.
        monotonic_s: real time, of this machine's ``time.monotonic``.
        operations: of GraphQL.
        who: ``account``, the id of the pod whose key it carried, or nothing.
    """

    route: str
    method: str
    path: str
    query: str
    at: float
    monotonic_s: float
    user_agent: str
    who: str | None = None
    operations: tuple[str, ...] = ()
    body: Any = None
    status: int | None = None
    faults: list[str] = field(default_factory=list)


def _refusals() -> dict[str, RefusedError]:
    return {
        "no_capacity": RefusedError(400, NO_CAPACITY_V2, message=NO_CAPACITY),
        "no_capacity_disk": RefusedError(400, NO_DISK),
        "no_capacity_machine": RefusedError(400, NO_MACHINE),
        "no_balance": RefusedError(402, NO_BALANCE),
        "pool_forbidden": RefusedError(403, "This account may not use that pool."),
        "start_refused": RefusedError(400, NO_FREE_GPU),
    }


class Core:
    """One service.

    Args:
        home: for the machines.
        clock: service time.
        settings: to begin with.
    """

    def __init__(self, home: Path, clock: Clock, settings: Settings) -> None:
        self.url = ""
        self.clock = clock
        self._first = replace(settings)
        self.settings = settings
        self.faults = Faults()
        self.arrivals: list[Arrival] = []
        self.yard = Yard(home, lambda: self.url)
        self.account = Account(settings, self.now(), self.yard.publish)

    def reset(self) -> None:
        """Begin anew: every pod ends, and account, settings and faults are as at first; the key stays."""
        now, key = self.settle(), self.account.api_key
        for pod in self.account.pods.values():
            self.account.terminate(pod, now)
        self.settle()
        self.settings = replace(self._first)
        self.account = Account(self.settings, now, self.yard.publish)
        self.account.api_key = key
        self.faults.armed.clear()
        self.arrivals.clear()

    def now(self) -> float:
        return self.clock.now().timestamp()

    def settle(self) -> float:
        """Let service time have its effects. Returns it."""
        now = self.now()
        self.account.settle(now)
        self.yard.sync(list(self.account.pods.values()))
        return now

    async def pause(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait for seconds of service time, so that a test that moves the clock ends it; or until it is over."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end and not is_over():  # noqa: ASYNC110 - a clock has no event
            await asyncio.sleep(min(_POLL_S, seconds))

    def arrive(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)

    # what both APIs do

    def create(self, order: Order, routes: Iterable[str]) -> Pod:
        """Rent a pod, or refuse as a fault says.

        Raises:
            RefusedError: see the account.
        """
        routes = tuple(routes)
        self._refuse(routes, ())
        born = self.faults.take_all(Stage.BORN, routes, [""])
        late_s = max((each.seconds or 0.0 for each in born if each.fault in _BORN_ONLY), default=0.0)
        quirks = [each.fault for each in born if each.fault not in _BORN_ONLY]
        return self.account.create(order, self.now(), quirks=quirks, late_s=late_s)

    def start(self, pod: Pod, routes: Iterable[str]) -> None:
        self._refuse(tuple(routes), [pod.id])
        self.account.start(pod, self.now())

    def _refuse(self, routes: tuple[str, ...], pods: Iterable[str]) -> None:
        if (fault := self.faults.take(Stage.PLACE, routes, pods)) is not None:
            raise _refusals()[fault.fault]

    def look(self, pod: Pod, routes: Iterable[str] | None = None) -> Look:
        return look(pod, self.now(), self.settings, self.faults, routes)

    def strike(self, routes: Iterable[str]) -> list[str]:
        """Do what the platform does by itself before a request: pods vanish, ports change. Names of the faults."""
        alive = [pod for pod in self.account.pods.values() if pod.intent is not Intent.TERMINATED]
        if not alive:
            return []
        struck = self.faults.take_all(Stage.EVENT, routes, [pod.id for pod in alive])
        for fault in struck:
            pod = self.account.pods.get(fault.pod or "", alive[-1])
            if fault.fault == "vanish":
                self.account.terminate(pod, self.now(), "Terminated by Runpod")
            elif fault.fault == "port_change":
                self.account.new_port(pod)
                pod.old_port = None  # it is just another one
            elif fault.fault == "evict":
                self.account.evict(pod, self.now())
            else:
                pod.locked = True
        return [fault.fault for fault in struck]


def monotonic_s() -> float:
    """Real time, for the order and distance of requests whatever the service's clock does."""
    return time.monotonic()
