"""Time as a thing that can be handed in, so that a test can drive limits, leases and bills."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Protocol

_POLL_S = 0.02  # how often a clock that others drive looks whether its time has come; a guess


# Linux: CLOCK_MONOTONIC stands still while a laptop sleeps, CLOCK_BOOTTIME does not; macOS: CLOCK_MONOTONIC goes on.
_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class Clock(Protocol):
    """What the rest asks for time. Every method may be called in any thread."""

    def now(self) -> datetime:
        """Wall-clock time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, from an arbitrary start."""
        ...

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until *event* is set, at most *timeout_s* seconds of this clock. Returns whether it is set."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Wall-clock time, aware, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds that never run backwards, and that pass while the machine sleeps, for the pod is paid for then."""
        return time.clock_gettime(_STEADY)

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until *event* is set, at most *timeout_s* seconds."""
        return event.wait(max(0.0, timeout_s))


class TestClock:
    """A clock that stands still until :meth:`advance` moves it. Thread-safe."""

    __test__ = False  # its name is the field's word; pytest must not collect it

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 1, tzinfo=timezone.utc)
        self._monotonic_s = 0.0
        self._changed = threading.Condition()

    def now(self) -> datetime:
        """The time that the test has set."""
        with self._changed:
            return self._now

    def monotonic(self) -> float:
        """Seconds since the clock was made, as far as the test has moved it."""
        with self._changed:
            return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move the time on and wake those who wait for it."""
        if seconds < 0:
            raise ValueError("a clock only moves on")
        with self._changed:
            self._monotonic_s += seconds
            self._now += timedelta(seconds=seconds)
            self._changed.notify_all()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until *event* is set or the test has moved the clock on by *timeout_s*."""
        end = self.monotonic() + timeout_s
        while not event.is_set() and self.monotonic() < end:
            with self._changed:
                self._changed.wait(_POLL_S)  # the event has no hook, so look at it now and then
        return event.is_set()


class FileClock:
    """A clock that other processes share: system time plus the seconds that stand in a file.

    A test moves every process on by rewriting the file, whose content is one number. While the file is empty or
    missing, because it is being rewritten just now, the number that was read last goes on to count.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._base = SystemClock()
        self._last_s = 0.0

    def _offset_s(self) -> float:
        with contextlib.suppress(OSError, ValueError):
            self._last_s = float(self._path.read_text())
        return self._last_s

    def now(self) -> datetime:
        """Wall-clock time plus the offset, aware, in UTC."""
        return self._base.now() + timedelta(seconds=self._offset_s())

    def monotonic(self) -> float:
        """Seconds that never run backwards, as long as the offset only grows."""
        return self._base.monotonic() + self._offset_s()

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        """Wait until *event* is set, at most *timeout_s* seconds of this clock."""
        end = self.monotonic() + timeout_s
        while not event.is_set() and (left_s := end - self.monotonic()) > 0:
            event.wait(min(left_s, _POLL_S))
        return event.is_set()


def default_clock() -> Clock:
    """The machine's clock, or the one in the file that ``AUTOPOD_TEST_CLOCK`` names."""
    path = os.environ.get("AUTOPOD_TEST_CLOCK")
    return FileClock(Path(path)) if path else SystemClock()


class Deadline:
    """A point in time that bounds a wait.

    Args:
        clock: whose seconds count.
        seconds: from now on; None means no bound.
    """

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self._clock = clock
        self._end = None if seconds is None else clock.monotonic() + seconds

    def left_s(self, at_most_s: float = 3600.0) -> float:
        """Seconds that are left, never negative and never more than *at_most_s*."""
        if self._end is None:
            return at_most_s
        return min(at_most_s, max(0.0, self._end - self._clock.monotonic()))

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self._end is not None and self._clock.monotonic() >= self._end
