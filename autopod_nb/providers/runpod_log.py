"""The log of a pod at RunPod: a stream of events that never ends and that does not say where its past is over."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from autopod_nb.providers.runpod_pods import moment

MOST_LINES = 5000
"""RunPod gives no more of the past."""
_LINE_CHARS = 4000
_FINGERPRINT = re.compile(r"\bSHA256:[A-Za-z0-9+/]{43}\b")
_FATAL = re.compile(
    r"(?i)failed to pull image|error creating container|manifest (?:unknown|.*not found)|access denied|no such image"
    r"|toomanyrequests"
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line.

    Attributes:
        source: ``container``, or ``system`` for the platform's own words.
        text: without its end.
        at: when it was written, UTC; None if that is not said.
    """

    source: str
    text: str
    at: datetime | None


def read_events(lines: Iterable[bytes]) -> Iterator[LogLine]:
    """The log lines in the lines of a ``text/event-stream``; one whose content is not as documented comes as it is."""
    data: list[str] = []
    for raw in lines:
        line = raw.decode(errors="replace").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield _line("\n".join(data))
            data = []


def _line(text: str) -> LogLine:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("line"), str):
        return LogLine("", text[:_LINE_CHARS], None)
    return LogLine(str(found.get("source", "")), found["line"].rstrip()[:_LINE_CHARS], moment(found.get("ts")))


def host_key(lines: Iterable[LogLine], since: datetime | None) -> str | None:
    """The fingerprint of the Ed25519 host key that the pod's start script printed; None if it did not.

    Args:
        lines: of the container, oldest first.
        since: older ones are of a run before, which had another key.
    """
    found = None
    for line in lines:
        is_of_run = since is None or (line.at is not None and line.at >= since)
        if is_of_run and "ED25519" in line.text.upper() and (match := _FINGERPRINT.search(line.text)):
            found = match.group()
    return found


def fatal_line(lines: Iterable[LogLine]) -> str:
    """The last word of the platform that says that the pod will never come up; empty if there is none."""
    return next(
        (line.text for line in reversed(list(lines)) if line.source == "system" and _FATAL.search(line.text)), ""
    )
