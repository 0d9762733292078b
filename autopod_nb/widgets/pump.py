"""The one thread that writes widget traits, at a fixed rate whatever the rate of events.

A notebook server drops messages above about 1000 a second, and ipywidgets is not safe with two writers. So panels are
drawn here and nowhere else: ten times a second what moves (bar, status, preview), five times a second HTML. What did
not change is not sent, what changed twice between two draws is sent once, and the last draw shows the end.
"""

from __future__ import annotations

import logging
import threading
from typing import Protocol

from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)
FAST_INTERVAL_S = 0.1
SLOW_EVERY = 2
"""Every so many draws are slow ones, that write HTML too."""


class Panel(Protocol):
    """Something that is drawn."""

    def draw(self, *, slow: bool) -> bool:
        """Write traits from the newest snapshot. Called in the pump's thread only.

        Args:
            slow: write HTML too, not only what moves.

        Returns:
            Whether it lives on. False only after a draw that wrote everything, for it is not called again.
        """
        ...


class Pump:
    """Draws panels in a thread that exists as long as a panel lives.

    :meth:`add` and :meth:`remove` may be called in any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing = threading.RLock()
        self._panels: dict[int, tuple[Panel, int]] = {}  # id → panel, and how often it was added
        self._thread: ServiceThread | None = None

    def add(self, panel: Panel) -> None:
        """Draw this panel from now on. Adding it again changes nothing, or wakes one that had ended."""
        with self._lock:
            _, calls = self._panels.get(id(panel), (panel, 0))
            self._panels[id(panel)] = (panel, calls + 1)
            if self._thread is None:
                self._thread = ServiceThread("autopod-pump", self._run).start()

    def remove(self, panel: Panel) -> None:
        """Never draw this panel again. When this returns, no draw of it is under way in another thread."""
        with self._lock:
            self._panels.pop(id(panel), None)
        with self._drawing:
            pass

    def close(self, timeout_s: float = 2.0) -> bool:
        """Draw nothing any more. Returns whether the thread has ended."""
        with self._lock:
            thread, self._panels = self._thread, {}
        if thread is None:
            return True
        thread.stop()
        return thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        """Whether something is being drawn."""
        with self._lock:
            return self._thread is not None

    def _run(self, stop: threading.Event) -> None:
        draws = 0
        while not stop.is_set():
            with self._lock:
                panels = [panel for panel, _ in self._panels.values()]
                if not panels:  # decided under the lock, so that add() never finds a thread that is about to end
                    self._thread = None
                    return
            for panel in panels:
                self._draw(panel, slow=draws % SLOW_EVERY == 0)
            draws += 1
            stop.wait(FAST_INTERVAL_S)
        with self._lock:
            self._thread = None

    def _draw(self, panel: Panel, *, slow: bool) -> None:
        with self._drawing:
            with self._lock:
                known = self._panels.get(id(panel))
            if known is None:
                return
            try:
                lives = panel.draw(slow=slow)
            except Exception:  # noqa: BLE001 - one broken panel must not freeze the others
                _log.exception("a panel cannot be drawn, and is left as it is")
                lives = False
        with self._lock:
            if not lives and self._panels.get(id(panel)) == known:  # not added again meanwhile
                del self._panels[id(panel)]


_pump = Pump()


def the_pump() -> Pump:
    """The pump of this process."""
    return _pump
