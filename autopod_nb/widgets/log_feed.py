"""The thread that reads a pod's log again and again, for a panel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from autopod_nb.errors import AutopodError
from autopod_nb.threads import ServiceThread
from autopod_nb.widgets.log_text import merge

if TYPE_CHECKING:
    from autopod_nb.session.manager import Session

INTERVAL_S = 1.0
_KEPT = 2000  # lines
_AT_ONCE = 300  # lines: what ComfyUI itself keeps


class LogFeed:
    """Keeps the end of a log. Ends with the pod, with the session, or when it is stopped.

    Args:
        session: whose pod it is.
        pod_id: which one.
        read: number of lines → the last lines of the log; may raise an AutopodError.

    Attributes:
        lines: the end of what is known so far, oldest first.
        count: how many lines there were in all.
        trouble: why it could not be read last time, empty if it could.
        over: why nothing more will come, empty as long as more may.
    """

    def __init__(self, session: Session, pod_id: str, read: Callable[[int], Sequence[str]]) -> None:
        self.lines: tuple[str, ...] = ()
        self.count = 0
        self.trouble = ""
        self.over = ""
        self._session, self._pod_id, self._read = session, pod_id, read
        self._thread = ServiceThread(f"autopod-log-{pod_id}", self._run)

    def start(self) -> LogFeed:
        """Begin. Returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Read no more. Safe to call twice, in any thread."""
        self.over = self.over or "stopped"
        self._thread.stop()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of its thread. Returns whether it has ended."""
        return self._thread.join(timeout_s)

    def step(self) -> None:
        """Read once, and see whether more may come."""
        pod = self._session.snapshot.pods.get(self._pod_id)
        try:
            merged = merge(self.lines, tuple(self._read(_AT_ONCE)))
            self.count += len(merged) - len(self.lines)
            self.lines, self.trouble = merged[-_KEPT:], ""
        except AutopodError as error:
            self.trouble = str(error)
        if pod is None or pod.over:
            self.over = self.over or "the pod has ended"
        elif self._session.closed:
            self.over = self.over or "the session is closed"

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set() and not self.over:
            self.step()
            stop.wait(INTERVAL_S)
