"""Threads that have a name, an end, and that keep what went wrong for their owner."""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable

_log = logging.getLogger(__name__)


class ServiceThread:
    """A daemon thread around ``body(stop)``.

    The body looks at the event *stop* and returns soon after it is set. It is started with a copy of the caller's
    context (ipykernel 7.0 needs that for widgets). What it raises is logged and kept in :attr:`failure`.

    Args:
        name: shown in thread lists, for example ``autopod-session``.
        body: runs in the thread.
        on_failure: called in the thread with what the body raised.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[threading.Event], None],
        *,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self.stop_event = threading.Event()
        self.failure: BaseException | None = None
        self._body = body
        self._on_failure = on_failure
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)

    def _run(self) -> None:
        try:
            self._body(self.stop_event)
        except BaseException as error:  # noqa: BLE001 - kept for the owner, never lost
            self.failure = error
            _log.exception("thread %s failed", self._thread.name)
            if self._on_failure is not None:
                self._on_failure(error)

    def start(self) -> ServiceThread:
        """Start it. What it needs must be ready before. Returns itself."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask it to end. Safe to call twice, in any thread."""
        self.stop_event.set()

    def join(self, timeout_s: float) -> bool:
        """Wait at most *timeout_s* seconds for its end. Returns whether it has ended; True in the thread itself."""
        if self._thread is threading.current_thread() or self._thread.ident is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()
