"""The one thread that writes widget traits, at fixed rates whatever the rate of events.

A notebook server drops messages above about 1000 a second, and ipywidgets is not safe with two writers. So panels are
drawn here and nowhere else: ten times a second what moves (bars, status, preview), five times a second HTML, twice a
second tables, and all of them together at most 200 messages a second: after a round that wrote many, the next one waits
longer. What did not change is not sent, what changed twice between two draws is sent once, the last draw shows the end,
and every ten seconds all of it is sent once more, for a message may be lost on the way.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from autopod_nb.threads import ServiceThread
from autopod_nb.widgets.traits import count_sent

_log = logging.getLogger(__name__)
FAST_INTERVAL_S = 0.1
HTML_INTERVAL_S = 0.2
TABLE_INTERVAL_S = 0.5
HEAL_INTERVAL_S = 10.0
MESSAGES_PER_S = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What is to be drawn, beside what moves.

    Attributes:
        html: pieces of HTML.
        table: tables and lists, too.
        heal: send what did not change, too.
    """

    html: bool
    table: bool
    heal: bool = False


FULL = Beat(html=True, table=True)
"""Everything, once."""


class Panel(Protocol):
    """Something that is drawn."""

    def draw(self, beat: Beat) -> bool:
        """Write traits from the newest snapshot. Called in the pump's thread only.

        Args:
            beat: what is due beside what moves.

        Returns:
            Whether it lives on. False only after a draw that wrote everything, for it is not called again.
        """
        ...


class Rhythm:
    """Which beats are due.

    Args:
        monotonic: seconds of a clock that never goes back.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        start_s = monotonic()
        self._next_s = {"html": start_s, "table": start_s, "heal": start_s + HEAL_INTERVAL_S}

    def beat(self) -> Beat:
        """What is due now."""
        return Beat(
            html=self._due("html", HTML_INTERVAL_S),
            table=self._due("table", TABLE_INTERVAL_S),
            heal=self._due("heal", HEAL_INTERVAL_S),
        )

    def _due(self, name: str, interval_s: float) -> bool:
        now_s = self._monotonic()
        due = now_s >= self._next_s[name] - FAST_INTERVAL_S / 4  # or each wait's small excess would cost a beat
        if due:
            self._next_s[name] = now_s + interval_s
        return due


class Pump:
    """Draws panels in a thread that exists as long as a panel lives.

    :meth:`add`, :meth:`remove` and :meth:`poke` may be called in any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing = threading.RLock()
        self._poked = threading.Event()
        self._panels: dict[int, tuple[Panel, int]] = {}  # id → panel, and how often it was added
        self._thread: ServiceThread | None = None

    def add(self, panel: Panel) -> None:
        """Draw this panel from now on. Adding it again changes nothing, or wakes one that had ended."""
        with self._lock:
            _, calls = self._panels.get(id(panel), (panel, 0))
            self._panels[id(panel)] = (panel, calls + 1)
            if self._thread is None:
                self._thread = ServiceThread("autopod-pump", self._run).start()
        self.poke()

    def poke(self) -> None:
        """Draw now, not at the next beat: somebody has pressed a button and waits for a sign."""
        self._poked.set()

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
        self.poke()
        return thread.join(timeout_s)

    @property
    def alive(self) -> bool:
        """Whether something is being drawn."""
        with self._lock:
            return self._thread is not None

    def _run(self, stop: threading.Event) -> None:
        rhythm = Rhythm()
        while not stop.is_set():
            with self._lock:
                panels = [panel for panel, _ in self._panels.values()]
                if not panels:  # decided under the lock, so that add() never finds a thread that is about to end
                    self._thread = None
                    return
            self._poked.clear()
            beat = rhythm.beat()
            for panel in panels:
                self._draw(panel, beat)
            self._rest(stop)
        with self._lock:
            self._thread = None

    def _rest(self, stop: threading.Event) -> None:
        """Until the next beat. A poke shortens it, but not what a round with many messages has to wait."""
        owed_s = count_sent() / MESSAGES_PER_S
        if not self._poked.wait(max(FAST_INTERVAL_S, owed_s)) or stop.is_set():
            return
        stop.wait(max(0.0, owed_s - FAST_INTERVAL_S))

    def _draw(self, panel: Panel, beat: Beat) -> None:
        with self._drawing:
            with self._lock:
                known = self._panels.get(id(panel))
            if known is None:
                return
            try:
                lives = panel.draw(beat)
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
