"""The live view of a pod's log."""

from __future__ import annotations

import re
from typing import Any

from autopod_nb.widgets.controls import Root
from autopod_nb.widgets.log_feed import LogFeed
from autopod_nb.widgets.log_text import failure_lines, log_text, page_html
from autopod_nb.widgets.log_view import LogView
from autopod_nb.widgets.pump import Beat, Pump, the_pump

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
        self._feed, self._name = feed, name
        self._pump = pump or the_pump()
        self._view = LogView(feed, name, lambda: self._pump.add(self), pattern=pattern)
        self.root = Root([self._view.root], self._fallback)

    def show(self) -> Any:
        """Read and draw it from now on. Returns the widget."""
        self._view.start()
        self._pump.add(self)
        return self.root

    def draw(self, beat: Beat) -> bool:
        """See :class:`autopod_nb.widgets.pump.Panel`."""
        if beat.html or self._feed.over:
            return self._view.draw(heal=beat.heal)
        return True

    def _fallback(self) -> tuple[str, str]:
        lines, failures = self._view.lines(_TEXT_LINES), failure_lines(self._feed.lines)
        return log_text([self._name, *lines], failures=failures), page_html(self._name, lines, failures)
