"""The live view of a pod's log."""

from __future__ import annotations

import re
from typing import Any

import ipywidgets as W  # noqa: N812 - as its own documentation does

from autopod_nb.widgets import card
from autopod_nb.widgets.controls import Root, button, put
from autopod_nb.widgets.log_feed import LogFeed
from autopod_nb.widgets.log_text import chosen, failure_lines, failures_html, log_html, log_text, page_html
from autopod_nb.widgets.pump import Pump, the_pump

_TEXT_LINES = 50


class LogPanel:
    """Shows what a feed reads, until it is over or the button is pressed.

    Args:
        feed: not started yet.
        name: of the log, such as ``ComfyUI on pod 3fa2c1``.
        pattern: show only the lines that it finds.
        pump: draws it; the one of this process if left out.

    Attributes:
        root: the widget to be shown.
    """

    def __init__(
        self, feed: LogFeed, name: str, *, pattern: re.Pattern[str] | None = None, pump: Pump | None = None
    ) -> None:
        self._feed, self._name, self._pattern = feed, name, pattern
        self._pump = pump or the_pump()
        self._drawn: object = None
        self._head, self._failures = W.HTML(), W.HTML()
        # the box scrolls, not its content: what is replaced at each draw could not keep its place
        scroll = W.Layout(max_height="360px", overflow="auto", display="flex", flex_flow="column-reverse")
        self._log = W.HTML(layout=scroll)
        self._stop = button("Stop following", "Read no more; the pod goes on", self._press_stop)
        self.root = Root([self._head, self._failures, self._log, W.HBox([self._stop])], self._fallback)

    def show(self) -> Any:
        """Read and draw it from now on. Returns the widget."""
        self._feed.start()
        self._pump.add(self)
        return self.root

    def draw(self, *, slow: bool) -> bool:
        """See :class:`autopod_nb.widgets.pump.Panel`."""
        over = self._feed.over  # read first: the lines after it are then the last ones
        state = (over, self._feed.trouble, self._feed.lines)
        if (slow or over) and state != self._drawn:
            self._drawn = state
            self._draw(over)
        return not over

    def _draw(self, over: str) -> None:
        lines = self._feed.lines
        how = card.badge(over, card.QUIET) if over else card.badge("live", card.OK)
        trouble = card.text_line(self._feed.trouble, card.WARN) if self._feed.trouble and not over else ""
        put(self._head, f"<div><b>{card.safe(self._name)}</b> {how}</div>{trouble}")
        put(self._failures, failures_html(failure_lines(lines)))
        put(self._log, log_html(self._name, chosen(lines, pattern=self._pattern)))
        self._stop.layout.display = "none" if over else None

    def _press_stop(self) -> None:
        self._feed.stop()

    def _fallback(self) -> tuple[str, str]:
        lines = chosen(self._feed.lines, pattern=self._pattern, last=_TEXT_LINES)
        failures = failure_lines(self._feed.lines)
        return log_text([self._name, *lines], failures=failures), page_html(self._name, lines, failures)
