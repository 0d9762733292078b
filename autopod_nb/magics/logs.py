"""The verb ``logs``: the end of a log, or its live view."""

from __future__ import annotations

import re
import threading
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autopod_nb.errors import UsageError
from autopod_nb.magics.session import running_session
from autopod_nb.magics.text import Page
from autopod_nb.widgets.log_feed import INTERVAL_S, LogFeed
from autopod_nb.widgets.log_text import chosen, failure_lines, log_text, page_html

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

_LINES = 50
_SEARCHED = 2000  # lines that --grep looks through


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A log that is to be followed.

    Attributes:
        feed: reads it; not started.
        name: for the person.
        pattern: show only the lines that it finds, None for all.
    """

    feed: LogFeed
    name: str
    pattern: re.Pattern[str] | None


def logs(args: Namespace) -> Page | Followed:
    """The last lines of a log, with known failures in words."""
    session = running_session()
    pattern = _pattern(args.grep)
    pod_id = session.pick_pod(args.pod).pod_id
    name = f"The provider's log of pod {pod_id}" if args.of_pod else f"ComfyUI's log on pod {pod_id}"
    read = _reader(session, pod_id, of_pod=args.of_pod)
    if args.follow:
        return Followed(feed=LogFeed(session, pod_id, read), name=name, pattern=pattern)
    count = args.lines or _LINES
    lines = read(count if pattern is None else max(count, _SEARCHED))
    shown, failures = chosen(lines, pattern=pattern, last=count), failure_lines(lines)
    empty = "No line matches." if lines else "The log is empty."
    return Page(log_text(shown or [empty], failures=failures), page_html(name, shown or [empty], failures))


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"--grep {text!r} is no regular expression: {error}.") from error


def _reader(session: Session, pod_id: str, *, of_pod: bool) -> Callable[[int], Sequence[str]]:
    read = session.pod_logs if of_pod else session.logs
    return lambda lines: read(pod_id, lines=lines)


def print_following(followed: Followed, tell: Callable[[str], None]) -> None:
    """Follow a log in the main thread, line by line, until it is over. An interrupt ends it, as it should.

    Args:
        followed: what to follow.
        tell: takes each line.
    """
    feed, pause, told = followed.feed, threading.Event(), 0
    while True:
        feed.step()
        fresh = min(feed.count - told, len(feed.lines))
        for line in chosen(feed.lines[len(feed.lines) - fresh :], pattern=followed.pattern):
            tell(line)
        told = feed.count
        if feed.over:
            tell(f"({feed.over})")
            return
        pause.wait(INTERVAL_S)
