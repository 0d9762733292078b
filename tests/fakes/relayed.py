"""The provider of pods on this machine, with something on the way to each pod's SSH server."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from autopod_nb.clock import Clock
from autopod_nb.models.pod import PodAddress, PodRecord
from autopod_nb.providers.local import LocalProvider


class Way(Protocol):
    """What lies on the way to one pod."""

    @property
    def port(self) -> int:
        """Where it begins now."""
        ...

    def close(self) -> None:
        """End it."""


_ROOT = Path(__file__).resolve().parents[2]


class RelayProcess:
    """:mod:`tests.fakes.relay` in a process of its own, so that it does not share an interpreter lock with us.

    Args:
        port: of the server.
        delay_ms: each way.
    """

    def __init__(self, port: int, delay_ms: float) -> None:
        command = [sys.executable, "-m", "tests.fakes.relay", str(port), str(delay_ms)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()


WayT = TypeVar("WayT", bound=Way)


class Relayed(LocalProvider, Generic[WayT]):
    """It tells where the way to a pod begins, as if that were the pod's own port.

    Args:
        folder: as of the local one.
        clock: the same.
        make_way: makes the way to an address, once a pod.

    Attributes:
        relays: the provider's id of a pod → its way.
    """

    def __init__(self, folder: Path, *, clock: Clock, make_way: Callable[[PodAddress], WayT]) -> None:
        super().__init__(folder, clock=clock)
        self.relays: dict[str, WayT] = {}
        self._make_way = make_way
        self._making = threading.Lock()

    def describe(self, provider_id: str) -> PodRecord:
        record = super().describe(provider_id)
        if record.address is None:
            return record
        with self._making:
            if provider_id not in self.relays:
                self.relays[provider_id] = self._make_way(record.address)
        return replace(record, address=replace(record.address, port=self.relays[provider_id].port))

    def close(self) -> None:
        super().close()
        for relay in self.relays.values():
            relay.close()
