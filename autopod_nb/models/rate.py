"""How fast something goes, and how long it will take."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """How far files are on their way.

    Attributes:
        done: bytes that are there.
        size: bytes in all.
        bytes_per_s: how fast they come; None as long as that cannot be told.
        left_s: estimate of the seconds left; None as long as it cannot be told.
    """

    done: int
    size: int
    bytes_per_s: float | None = None
    left_s: float | None = None


class Rate:
    """Bytes a second over the last seconds, and the time that is left. Not thread-safe.

    What was there before the first report does not count as fast: a resumed transfer begins with what it has.

    Args:
        span_s: how far back it looks; short enough to follow a line that changes, long enough to be steady to read.
    """

    def __init__(self, span_s: float = 5.0) -> None:
        self._span_s = span_s
        self._seen: deque[tuple[float, int]] = deque()

    def report(self, done: int, at_s: float) -> None:
        """Take a point of progress.

        Args:
            done: bytes so far; less than before means that it began anew.
            at_s: seconds of any clock that never runs backwards.
        """
        if self._seen and done < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((at_s, done))
        while len(self._seen) > 2 and self._seen[1][0] <= at_s - self._span_s:
            self._seen.popleft()

    def bytes_per_s(self, at_s: float) -> float | None:
        """The rate until *at_s*, so that it falls while nothing comes; None as long as it cannot be known."""
        if not self._seen:
            return None
        first_s, first = self._seen[0]
        took_s = at_s - first_s
        return (self._seen[-1][1] - first) / took_s if took_s > 0 else None

    def left_s(self, size: int, at_s: float) -> float | None:
        """Seconds until *size* bytes are done at this rate; None if nobody can know."""
        if self._seen and self._seen[-1][1] >= size:
            return 0.0
        rate = self.bytes_per_s(at_s)
        return (size - self._seen[-1][1]) / rate if rate else None
