"""The session thread: it owns all state, reads one inbox, and publishes snapshots."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from autopod_nb.clock import Clock
from autopod_nb.models.snapshot import Level, Notice, Snapshot
from autopod_nb.session.effects import Effect
from autopod_nb.session.events import Message, Moment, Tick
from autopod_nb.session.reducer import reduce
from autopod_nb.session.state import SessionState
from autopod_nb.session.views import Viewer
from autopod_nb.threads import ServiceThread

_log = logging.getLogger(__name__)
_TICK_S = 1.0
_LOOK_S = 0.1  # how often the loop looks at its clock while nothing comes, in real seconds
_MESSAGES_A_SNAPSHOT = 50


class Core:
    """One inbox in, snapshots and effects out.

    Args:
        state: to begin with.
        clock: the time.
        act: has effects carried out; called in the session thread, must not block.
        on_broken: called when the thread ends by itself, so that whoever keeps pods alive can let them go.
    """

    def __init__(
        self,
        state: SessionState,
        *,
        clock: Clock,
        act: Callable[[Sequence[Effect]], None],
        on_broken: Callable[[], None] = lambda: None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._act = act
        self._on_broken = on_broken
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._changed = threading.Condition()
        self._viewer = Viewer()
        self._snapshot = self._viewer.snapshot(state, self._now())
        self._ended = False
        self._thread = ServiceThread("autopod-session", self._loop, on_failure=self._broke)

    def start(self) -> None:
        """Begin to read the inbox."""
        self._thread.start()

    def post(self, message: Message) -> None:
        """Put a message into the inbox. Never blocks; may be called in any thread."""
        self._inbox.put(message)

    @property
    def snapshot(self) -> Snapshot:
        """The newest; never blocks."""
        return self._snapshot

    @property
    def state(self) -> SessionState:
        """The newest, which is frozen: it may be read in any thread, and knows all that the snapshot shows."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether the thread was ended, or ended by itself, which is a mistake of ours."""
        return self._ended

    def wait_for(self, done: Callable[[Snapshot], bool], timeout_s: float) -> Snapshot:
        """Wait until *done* holds, the thread has ended, or *timeout_s* real seconds have passed.

        Returns:
            The newest snapshot.
        """
        with self._changed:
            self._changed.wait_for(lambda: done(self._snapshot) or self._ended, timeout_s)
            return self._snapshot

    def stop(self, timeout_s: float) -> None:
        """End the thread and wake everybody who waits. Safe to call twice."""
        self._thread.stop()
        self._thread.join(timeout_s)
        self._wake_at_end()

    def _now(self) -> Moment:
        return Moment(self._clock.now(), self._clock.monotonic())

    def _loop(self, stop: threading.Event) -> None:
        ticks, next_tick_s = 0, self._clock.monotonic()
        while not stop.is_set():
            messages = self._take()
            if self._clock.monotonic() >= next_tick_s:
                ticks += 1
                next_tick_s = self._clock.monotonic() + _TICK_S
                messages.append(Tick(number=ticks))
            for message in messages:
                self._handle(message)
            if messages:
                self._publish()

    def _take(self) -> list[Message]:
        """What is in the inbox; waits a moment if there is nothing."""
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            messages.append(self._inbox.get(timeout=_LOOK_S))
            while len(messages) < _MESSAGES_A_SNAPSHOT:
                messages.append(self._inbox.get_nowait())
        return messages

    def _handle(self, message: Message) -> None:
        """One message; one that the reducer cannot take changes nothing, and the guard over the money goes on."""
        now = self._now()
        try:
            self._state, effects = reduce(self._state, message, now)
        except Exception as error:  # noqa: BLE001 - the state is as before, and who else would watch the money?
            _log.exception("%s was refused", type(message).__name__)
            text = f"A mistake of autopod_nb ({type(message).__name__}: {error}); the log has the details."
            notice = Notice(level=Level.ERROR, text=text, at=now.at)
            self._state = replace(self._state, notices=(*self._state.notices, notice))
            return
        self._act(effects)

    def _publish(self) -> None:
        snapshot = self._viewer.snapshot(self._state, self._now())
        with self._changed:
            self._snapshot = snapshot
            self._changed.notify_all()

    def _broke(self, error: BaseException) -> None:
        _log.critical("the session thread ended: %s", error)
        self._wake_at_end()
        self._on_broken()

    def _wake_at_end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
