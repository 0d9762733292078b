"""How far a transfer is, and whether it is to go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from autopod_nb.clock import Deadline
from autopod_nb.errors import TransferError

OnBytes = Callable[[int, int], None]
"""Called with bytes done and bytes in all, by one thread at a time."""


class Stop(Protocol):
    """What ends a transfer, as a ``threading.Event`` does."""

    def is_set(self) -> bool:
        """Asked again and again, in any thread."""


class Pace:
    """Reports progress, and ends a transfer that is stopped or out of time. Thread-safe.

    Args:
        deadline: for all of it.
        stop: ends it, if given.
        report: told about progress.
        size: bytes in all.
    """

    def __init__(
        self,
        deadline: Deadline,
        stop: Stop | None = None,
        report: OnBytes | None = None,
        size: int = 0,
    ) -> None:
        self.size = size
        self.deadline = deadline
        self._stop = stop
        self._report = report
        self._lock = threading.Lock()
        self._done = 0
        self._failed = False

    def step(self, count: int) -> None:
        """So many bytes more are there; fewer, if *count* is negative."""
        if count:
            with self._lock:
                self._done += count
                if self._report is not None:
                    self._report(self._done, self.size)
        self.check()

    def fail(self) -> None:
        """End what others do for the same transfer."""
        self._failed = True

    def check(self) -> None:
        """Do nothing as long as it is to go on.

        Raises:
            TransferError: it was stopped, is out of time, or another part of it has failed.
        """
        if self._stop is not None and self._stop.is_set():
            raise TransferError("The transfer was stopped; the next attempt goes on where it ended.")
        if self.deadline.passed:
            raise TransferError("The transfer ran out of time; the next attempt goes on where it ended.")
        if self._failed:
            raise TransferError("Another part of the transfer failed; the next attempt goes on where it ended.")
