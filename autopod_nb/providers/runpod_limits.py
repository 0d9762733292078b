"""How often RunPod may be asked, as its headers say. Pure but for the lock.

``RateLimit: "minute";r=57;t=12, "hour";r=2900;t=3000``: *r* requests are left in a window, *t* seconds until there is
room again (IETF draft; RunPod documents 60 a minute and 3000 an hour).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

RESERVE = 2
"""Requests of each window that reads leave to stop and terminate."""
_SLOWEST_S = 10.0  # a poll is never slower than this
_SHARE = 2.0  # polls take half of what is left: the rest is for whatever a person does meanwhile


@dataclass(frozen=True, slots=True)
class Window:
    """What is left in one window.

    Attributes:
        left: requests.
        until_s: monotonic time at which there is room again.
    """

    left: int
    until_s: float


def windows(header: str, now_s: float) -> tuple[Window, ...]:
    """The windows in a ``RateLimit`` header; what cannot be read is left out."""
    found = []
    for part in header.split(","):
        left = re.search(r"\b(?:r|remaining)\s*=\s*(\d{1,9})", part)
        wait = re.search(r"\b(?:t|reset)\s*=\s*(\d{1,9})", part)
        if left and wait:
            found.append(Window(int(left.group(1)), now_s + int(wait.group(1))))
    return tuple(found)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds of a ``Retry-After`` header, which is a number or a date; None if it says nothing."""
    if header is None:
        return None
    if re.fullmatch(r"\s*\d{1,9}\s*", header):
        return float(header)
    try:
        at = parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
    return max(0.0, (at - now).total_seconds())


class RateLimits:
    """What the last answer said. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: tuple[Window, ...] = ()

    def note(self, headers: Mapping[str, str], now_s: float) -> None:
        """Keep what an answer says; one that says nothing changes nothing."""
        found = windows(headers.get("RateLimit", ""), now_s)
        if found:
            with self._lock:
                self._windows = found

    def hold_s(self, now_s: float) -> float:
        """How long a read must wait so that the last requests of each window stay for what saves money."""
        with self._lock:
            waits = [each.until_s - now_s for each in self._windows if each.left <= RESERVE]
        return max([0.0, *waits])

    def pace_s(self, now_s: float) -> float:
        """At which interval polls may go on for ever."""
        with self._lock:
            open_windows = [each for each in self._windows if each.until_s > now_s]
        intervals = [_SHARE * (each.until_s - now_s) / max(1, each.left) for each in open_windows]
        return min(_SLOWEST_S, max([0.0, *intervals]))
