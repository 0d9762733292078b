"""The lines of a log with their filter, as a part of a panel."""

from __future__ import annotations

import re
from collections.abc import Callable

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.widgets import card, plain
from autopod_nb.widgets.controls import button, free_comm
from autopod_nb.widgets.log_feed import LogFeed
from autopod_nb.widgets.log_text import LEVELS, chosen, failure_lines, failures_html, log_html, of_level
from autopod_nb.widgets.traits import put, show


class LogView:
    """Shows what a feed reads; a text and a level narrow it.

    Args:
        feed: not started yet.
        name: of the log, such as ``ComfyUI's log on pod 3fa2c1``.
        wake: has the panel drawn now; any thread.
        pattern: show only the lines that it finds.

    Attributes:
        root: the widget to be put into a panel.
    """

    def __init__(
        self, feed: LogFeed, name: str, wake: Callable[[], None], *, pattern: re.Pattern[str] | None = None
    ) -> None:
        self.feed, self.name = feed, name
        self._wake, self._pattern = wake, pattern
        self._drawn: object = None
        self._head, self._failures = plain.text(), plain.text()
        self._text = W.Text(placeholder="only lines with …", layout=W.Layout(width="180px"))
        self._text.tooltip = "Show only lines that hold this text"
        self._level = W.Dropdown(options=LEVELS, layout=W.Layout(width="170px"))
        self._level.tooltip = "Show only lines of this level"
        # the box scrolls, not its content: what is replaced at each draw could not keep its place
        scroll = W.Layout(max_height="360px", overflow="auto", display="flex", flex_flow="column-reverse")
        self._log = plain.text(scroll)
        self._stop = button("Stop following", "Read no more; the pod goes on", self.stop)
        for chooser in (self._text, self._level):
            chooser.observe(lambda _: wake(), "value")
            free_comm(chooser)
        tools = W.HBox([self._text, self._level, self._stop], layout=W.Layout(flex_flow="row wrap"))
        self.root = plain.box(self._head, self._failures, tools, self._log)

    def start(self) -> None:
        """Begin to read."""
        self.feed.start()

    def stop(self) -> None:
        """Read no more. Any thread."""
        self.feed.stop()
        self._wake()

    def draw(self, *, heal: bool = False) -> bool:
        """Show what is new. The pump's thread only. Returns whether more is to come."""
        over = self.feed.over  # read first: the lines after it are then the last ones
        state = (over, self.feed.trouble, self.feed.lines, self._text.value, self._level.value)
        if state != self._drawn or heal:
            self._drawn = state
            self._draw(over, heal=heal)
        return not over

    def lines(self, last: int | None = None) -> tuple[str, ...]:
        """What is shown."""
        found = of_level(chosen(self.feed.lines, pattern=self._pattern), self._level.value, self._text.value)
        return found[-last:] if last is not None else found

    def _draw(self, over: str, *, heal: bool) -> None:
        how = card.badge(over, card.QUIET) if over else card.badge("live", card.OK)
        trouble = card.text_line(self.feed.trouble, card.WARN) if self.feed.trouble and not over else ""
        put(self._head, f"<div><b>{card.safe(self.name)}</b> {how}</div>{trouble}", heal=heal)
        put(self._failures, failures_html(failure_lines(self.feed.lines)), heal=heal)
        put(self._log, log_html(self.name, self.lines()), heal=heal)
        show(self._stop, shown=not over)
