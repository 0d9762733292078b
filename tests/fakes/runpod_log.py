"""The log of a pod: lines of two sources, each with a time that no other line has."""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.fakes.runpod_bill import rfc3339

_TICK_S = 0.000_01
_KEPT = 6000


@dataclass(frozen=True, slots=True)
class Line:
    """A line and the service time at which it was written."""

    at: float
    source: str
    text: str

    def event(self) -> bytes:
        """As a server-sent event; its id is its time (documentation of the route, 3.3)."""
        ts = rfc3339(self.at)
        data = json.dumps({"source": self.source, "line": self.text, "ts": ts})
        return f"id: {ts}\ndata: {data}\n\n".encode()


class PodLog:
    """Lines in the order of writing, with rising times, for a reader resumes at a time."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(self, at: float, source: str, text: str) -> None:
        if self.lines:
            at = max(at, self.lines[-1].at + _TICK_S)
        self.lines.append(Line(at, source, text))
        del self.lines[:-_KEPT]

    def since(self, ts: str, *, source: str | None, inclusive: bool) -> list[Line]:
        """Lines after a time as they tell it."""
        found = self.of(source)
        return [each for each in found if rfc3339(each.at) > ts or (inclusive and rfc3339(each.at) == ts)]

    def of(self, source: str | None) -> list[Line]:
        return [each for each in self.lines if source in (None, each.source)]
